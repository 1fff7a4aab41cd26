"""Stretches of the inner loop, and the meta-loss over them."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from l2o.inner_loop import InnerState, Step, unroll
from l2o.metatraining.meta_gradient import MetaLoss
from l2o.metatraining.regularizers.regularization import Regularization
from l2o.optimizers import LearnedOptimizer, per_task
from l2o.tasks import Params, TaskBatch


class Carried(eqx.Module):
    """Where the inner problems of a `TaskBatch` stand between two windows."""

    state: InnerState
    initial_loss: Float[Array, "..."]
    """Each task's loss where its trajectory began."""


class Window(eqx.Module):
    """A stretch of the inner loop of several tasks, over which a meta-gradient is taken."""

    task: TaskBatch
    key: PRNGKeyArray
    """Of the minibatches."""
    state: InnerState
    """Where the stretch begins; held constant, but for a fresh optimizer state."""
    fresh: Bool[Array, ""]
    """Whether the stretch begins at initialisation; if so, the optimizer's initial state is
    differentiated too."""
    initial_loss: Float[Array, " tasks *objectives"]
    """Each task's loss where its trajectory began; not used where the stretch is fresh."""
    meta_step: Int[Array, ""]
    """How many updates of the meta-parameters came before, for schedules of weights."""
    num_steps: int = eqx.field(static=True)

    def begun_from(self, carried: Carried) -> "Window":
        """The same stretch, begun where a problem stands."""
        return dataclasses.replace(self, state=carried.state, initial_loss=carried.initial_loss)

    def carried_to(self, end: "WindowLoss") -> Carried:
        """Where its problems stand at its end."""
        return Carried(end.state, self.start_of(end.losses))

    def start_of(
        self, losses: Float[Array, "losses tasks *objectives"]
    ) -> Float[Array, " tasks *objectives"]:
        """Each task's loss where its trajectory began, given the losses of this stretch."""
        return jax.lax.stop_gradient(jnp.where(self.fresh, losses[0], self.initial_loss))


class WindowLoss(eqx.Module):
    """The meta-loss over a window, and where the window ends."""

    meta_loss: Float[Array, ""]
    """Regularizers included."""
    regularization: Float[Array, ""]
    """What regularizers add to it."""
    losses: Float[Array, "losses tasks *objectives"]
    state: InnerState


class WindowGradient(WindowLoss):
    """The same, and the derivative of the meta-loss."""

    gradient: LearnedOptimizer
    """The optimizer's structure, with derivatives as leaves."""


def fresh_start(optimizer: LearnedOptimizer, task: TaskBatch, key: PRNGKeyArray) -> Carried:
    """Tasks at their initialisation.

    **Arguments:** `optimizer`, of stacked parameters (`per_task`); `task`; `key`.
    """
    params = task.init(key)
    value = jax.eval_shape(lambda key: task.value(params, task.sample(key)), key)
    return Carried(InnerState(params, optimizer.init(params)), jnp.ones(value.shape))


def mean_of(terms: Regularization, params: Params) -> Float[Array, ""]:
    """The value of regularizers, averaged over tasks; not to be differentiated."""
    del params
    return jnp.mean(terms.value)


def run_window(
    optimizer: LearnedOptimizer,
    meta_loss: MetaLoss,
    window: Window,
    *,
    regularizers: Callable[[Regularization, Params], Float[Array, ""]] = mean_of,
    first_order: bool = False,
    checkpoint: bool = False,
) -> WindowLoss:
    """Runs a window.

    **Arguments:** `optimizer`; `meta_loss`; `window`; `regularizers`, what to take of them at the
    parameters of a step; `first_order` and `checkpoint` as in `l2o.unroll`.
    """

    def added_at(step: Step) -> Float[Array, ""]:
        terms = meta_loss.at_step(step, window.task, window.num_steps, window.meta_step)
        return regularizers(terms, step.params)

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
        probe=added_at if meta_loss.regularizers else None,
    )
    loss = meta_loss.of_losses(trajectory.losses, window.start_of(trajectory.losses))
    added = jnp.sum(trajectory.probes) if meta_loss.regularizers else jnp.zeros(())
    return WindowLoss(loss + added, added, trajectory.losses, trajectory.state)
