"""First-order meta-gradients: the gradients that the optimizer sees are held constant."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.inner_loop import Step, unroll
from l2o.metatraining.coordinate_gradient import coordinate_gradient
from l2o.metatraining.meta_gradient import (
    MetaGradient,
    MetaGradientEstimator,
    MetaLoss,
    Window,
)
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.optimizers import LearnedOptimizer, RecurrentOptimizer, SplitCoordinates, flatten
from l2o.support.checks import check_integer


class _Added(eqx.Module):
    """What regularizers add at a step: to the meta-loss, and to its slope along the parameters."""

    value: Float[Array, ""]
    slope: Float[Array, " coordinates"]


class FirstOrder(MetaGradientEstimator):
    """The meta-gradient without second derivatives of the task (Andrychowicz et al. 2016).

    For an optimizer that looks at gradients alone, the parameters are then the initial ones plus
    the updates so far, so the cotangent of an update is the sum of the later losses' gradients,
    which the inner loop computes anyway; the gradients of regularizers join that sum. For a
    recurrent coordinate-wise optimizer nothing has to be differentiated but its own network, block
    by block of coordinates, which keeps no states (`l2o.metatraining.coordinate_gradient`). Any
    other optimizer is differentiated through the unroll, and so is a window of few coordinates:
    with the state of every step at hand, no step is run more than twice. Both give the same
    numbers.

    **Arguments:** `kept_bytes`, what the states of all steps of a window may take to be kept.
    """

    kept_bytes: int = eqx.field(static=True, default=32 * 2**20)

    def __check_init__(self) -> None:
        check_integer("kept_bytes", self.kept_bytes, least=0)

    def can_split_coordinates(self, optimizer: LearnedOptimizer) -> bool:
        """Whether several devices can share the coordinates of a task."""
        return isinstance(optimizer, RecurrentOptimizer)

    def __call__(
        self, optimizer: LearnedOptimizer, meta_loss: MetaLoss, window: Window
    ) -> MetaGradient:
        """Runs the window and differentiates it."""
        if isinstance(optimizer, SplitCoordinates) or (
            isinstance(optimizer, RecurrentOptimizer) and not self._keeps_states(window)
        ):
            return _by_coordinates(optimizer, meta_loss, window)
        return gradient_through_unroll(
            optimizer, meta_loss, window, first_order=True, checkpoint=True
        )

    def _keeps_states(self, window: Window) -> bool:
        leaves = jax.tree.leaves(window.state)
        one_step = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
        return window.num_steps * one_step <= self.kept_bytes


def _by_coordinates(
    optimizer: RecurrentOptimizer | SplitCoordinates, meta_loss: MetaLoss, window: Window
) -> MetaGradient:
    """The meta-gradient from the gradients that the inner loop met."""

    def coordinates(tree: PyTree) -> Float[Array, " coordinates"]:
        whole = flatten(tree)
        return optimizer.own(whole) if isinstance(optimizer, SplitCoordinates) else whole

    def seen(step: Step) -> tuple[Float[Array, " coordinates"], _Added | None]:
        added = None
        if meta_loss.regularizers:
            terms = meta_loss.at_step(step, window.task, window.num_steps, window.meta_step)
            # Averaged over tasks, as the meta-loss is.
            slope = coordinates(terms.gradient) / window.task.num_tasks
            added = _Added(jnp.mean(terms.value), slope)
        return coordinates(step.grads), added

    trajectory = unroll(
        optimizer,
        window.task,
        window.key,
        window.num_steps,
        state=window.state,
        probe=seen,
    )
    gradients, added = trajectory.probes
    initial_loss = window.start_of(trajectory.losses)
    value, weights = jax.value_and_grad(lambda losses: meta_loss.of_losses(losses, initial_loss))(
        trajectory.losses
    )

    def per_coordinate(weights: Float[Array, " tasks"]) -> Float[Array, " coordinates"]:
        def spread(leaf: PyTree) -> PyTree:
            return jnp.broadcast_to(weights.reshape(-1, *[1] * (leaf.ndim - 1)), leaf.shape)

        return coordinates(jax.tree.map(spread, trajectory.final_grads))

    def add_step(
        later: Float[Array, " coordinates"], inputs: tuple[Array, Array, _Added | None]
    ) -> tuple[Float[Array, " coordinates"], Float[Array, " coordinates"]]:
        gradient, weight, added = inputs
        earlier = later + per_coordinate(weight) * gradient
        return (earlier if added is None else earlier + added.slope), later

    final = per_coordinate(weights[-1]) * coordinates(trajectory.final_grads)
    inputs = (gradients, weights[:-1], added)
    _, cotangents = jax.lax.scan(add_step, final, inputs, reverse=True)
    rule = optimizer.optimizer if isinstance(optimizer, SplitCoordinates) else optimizer
    gradient = coordinate_gradient(
        rule,
        window.state.opt_state.coordinates,
        window.state.opt_state.step,
        window.fresh,
        gradients,
        cotangents,
    )
    if isinstance(optimizer, SplitCoordinates):
        gradient = jax.lax.psum(gradient, optimizer.axis)
    total = jnp.zeros(()) if added is None else jnp.sum(added.value)
    return MetaGradient(value + total, total, gradient, trajectory.losses, trajectory.state)
