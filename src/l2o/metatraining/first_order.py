"""First-order meta-gradients: the gradients that the optimizer sees are held constant."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.inner_loop import Step, unroll
from l2o.metatraining.coordinate_gradient import coordinate_gradient
from l2o.metatraining.meta_gradient import (
    MetaGradient,
    MetaGradientEstimator,
    Window,
    meta_loss,
)
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.objectives import Objective
from l2o.optimizers import LearnedOptimizer, RecurrentOptimizer, SplitCoordinates, flatten


class FirstOrder(MetaGradientEstimator):
    """The meta-gradient without second derivatives of the task (Andrychowicz et al. 2016).

    For an optimizer that looks at gradients alone, the parameters are then the initial ones plus
    the updates so far, so the cotangent of an update is the sum of the later losses' gradients,
    which the inner loop computes anyway. For a recurrent coordinate-wise optimizer nothing has to
    be differentiated but its own network, block by block of coordinates
    (`l2o.metatraining.coordinate_gradient`); any other optimizer is differentiated through the
    unroll. Both give the same numbers.
    """

    def can_split_coordinates(self, optimizer: LearnedOptimizer) -> bool:
        """Whether several devices can share the coordinates of a task."""
        return isinstance(optimizer, RecurrentOptimizer)

    def __call__(
        self, optimizer: LearnedOptimizer, objective: Objective, window: Window
    ) -> MetaGradient:
        """Runs the window and differentiates it."""
        if not isinstance(optimizer, RecurrentOptimizer | SplitCoordinates):
            return gradient_through_unroll(optimizer, objective, window, first_order=True)
        return _by_coordinates(optimizer, objective, window)


def _by_coordinates(
    optimizer: RecurrentOptimizer | SplitCoordinates, objective: Objective, window: Window
) -> MetaGradient:
    """The meta-gradient from the gradients that the inner loop met."""

    def coordinates(tree: PyTree) -> Float[Array, " coordinates"]:
        whole = flatten(tree)
        return optimizer.own(whole) if isinstance(optimizer, SplitCoordinates) else whole

    def seen_gradient(step: Step) -> Float[Array, " coordinates"]:
        return coordinates(step.grads)

    trajectory = unroll(
        optimizer,
        window.task,
        window.key,
        window.num_steps,
        state=window.state,
        probe=seen_gradient,
    )
    value, weights = jax.value_and_grad(lambda losses: meta_loss(objective, losses, window))(
        trajectory.losses
    )

    def per_coordinate(weights: Float[Array, " tasks"]) -> Float[Array, " coordinates"]:
        def spread(leaf: PyTree) -> PyTree:
            return jnp.broadcast_to(weights.reshape(-1, *[1] * (leaf.ndim - 1)), leaf.shape)

        return coordinates(jax.tree.map(spread, trajectory.final_grads))

    def add_loss(
        later: Float[Array, " coordinates"], inputs: tuple[Array, Array]
    ) -> tuple[Float[Array, " coordinates"], Float[Array, " coordinates"]]:
        gradient, weight = inputs
        return later + per_coordinate(weight) * gradient, later

    final = per_coordinate(weights[-1]) * coordinates(trajectory.final_grads)
    _, cotangents = jax.lax.scan(add_loss, final, (trajectory.probes, weights[:-1]), reverse=True)
    rule = optimizer.optimizer if isinstance(optimizer, SplitCoordinates) else optimizer
    gradient = coordinate_gradient(
        rule,
        window.state.opt_state.coordinates,
        window.state.opt_state.step,
        window.fresh,
        trajectory.probes,
        cotangents,
    )
    if isinstance(optimizer, SplitCoordinates):
        gradient = jax.lax.psum(gradient, optimizer.axis)
    return MetaGradient(value, gradient, trajectory.losses, trajectory.state)
