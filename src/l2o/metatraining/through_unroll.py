"""Meta-gradients by differentiating the unroll as it stands: back-propagation through time."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.inner_loop import InnerState, Step, unroll
from l2o.metatraining.meta_gradient import MetaGradient, MetaLoss, Window
from l2o.optimizers import LearnedOptimizer, per_task


def gradient_through_unroll(
    optimizer: LearnedOptimizer,
    meta_loss: MetaLoss,
    window: Window,
    *,
    first_order: bool,
    checkpoint: bool = False,
) -> MetaGradient:
    """Differentiates the meta-loss through every step of the window.

    **Arguments:** `optimizer`; `meta_loss`; `window`; `first_order` and `checkpoint` as in
    `l2o.unroll`.
    """

    def surrogate(step: Step) -> Float[Array, ""]:
        terms = meta_loss.at_step(step, window.task, window.num_steps, window.meta_step)
        return terms.surrogate(step.params)

    def run(
        optimizer: LearnedOptimizer,
    ) -> tuple[Float[Array, ""], tuple[Array, Array, InnerState]]:
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
            probe=surrogate if meta_loss.regularizers else None,
        )
        loss = meta_loss.of_losses(trajectory.losses, window.start_of(trajectory.losses))
        added = jnp.zeros(())
        if meta_loss.regularizers:
            added = jnp.sum(trajectory.probes)
        return loss + added, (added, trajectory.losses, trajectory.state)

    differentiate = eqx.filter_value_and_grad(run, has_aux=True)
    (loss, (added, losses, state)), gradient = differentiate(optimizer)
    return MetaGradient(loss, added, gradient, losses, jax.lax.stop_gradient(state))
