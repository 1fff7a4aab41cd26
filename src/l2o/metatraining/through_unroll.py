"""Meta-gradients by differentiating the unroll as it stands: back-propagation through time."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.inner_loop import InnerState, unroll
from l2o.metatraining.meta_gradient import MetaGradient, Window, meta_loss
from l2o.objectives import Objective
from l2o.optimizers import LearnedOptimizer, per_task


def gradient_through_unroll(
    optimizer: LearnedOptimizer,
    objective: Objective,
    window: Window,
    *,
    first_order: bool,
    checkpoint: bool = False,
) -> MetaGradient:
    """Differentiates the objective through every step of the window.

    **Arguments:** `optimizer`; `objective`; `window`; `first_order` and `checkpoint` as in
    `l2o.unroll`.
    """

    def run(optimizer: LearnedOptimizer) -> tuple[Float[Array, ""], tuple[Array, InnerState]]:
        stacked = per_task(optimizer)
        # Only a window that begins at initialisation depends on the initial state.
        opt_state = jax.tree.map(
            lambda initial, carried: jnp.where(window.fresh, initial, carried),
            stacked.init(window.state.params),
            window.state.opt_state,
        )
        trajectory = unroll(
            stacked,
            window.task,
            window.key,
            window.num_steps,
            state=InnerState(window.state.params, opt_state),
            first_order=first_order,
            checkpoint=checkpoint,
        )
        loss = meta_loss(objective, trajectory.losses, window)
        return loss, (trajectory.losses, trajectory.state)

    (loss, (losses, state)), gradient = eqx.filter_value_and_grad(run, has_aux=True)(optimizer)
    return MetaGradient(loss, gradient, losses, jax.lax.stop_gradient(state))
