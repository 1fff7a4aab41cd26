"""First-order meta-gradients: the gradients that the optimizer sees are held constant."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from l2o.inner_loop import Step, unroll
from l2o.metatraining._coordinate_gradient import coordinate_gradient
from l2o.metatraining.back_propagation import BackPropagation
from l2o.metatraining.devices import COORDINATES, device_mesh
from l2o.metatraining.meta_gradient import MetaLoss
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.metatraining.window import Window, WindowGradient
from l2o.optimizers import (
    LearnedOptimizer,
    RecurrentOptimizer,
    SplitCoordinates,
    as_recurrent,
)
from l2o.support.checks import check_integer


class _Added(eqx.Module):
    """What regularizers add at a step: to the meta-loss, and to its slope along the parameters."""

    value: Float[Array, ""]
    slope: Float[Array, " coordinates"]


class FirstOrder(BackPropagation):
    """The meta-gradient without second derivatives of the task (Andrychowicz et al. 2016).

    For an optimizer that looks at gradients alone, the parameters are then the initial ones plus
    the updates so far, so the cotangent of an update is the sum of the later losses' gradients,
    which the inner loop computes anyway; the gradients of regularizers join that sum. For a
    recurrent coordinate-wise optimizer nothing has to be differentiated but its own network, block
    by block of coordinates, which keeps no states (`l2o.metatraining._coordinate_gradient`). Any
    other optimizer is differentiated through the unroll, and so is a window of few coordinates:
    with the state of every step at hand, no step is run more than twice. Both give the same
    numbers.

    **Arguments:** `kept_bytes`, what the states of all steps of a window may take to be kept.

    ```pycon
    >>> l2o.metatraining.FirstOrder(kept_bytes=2**20)
    FirstOrder(kept_bytes=1048576)
    ```
    """

    kept_bytes: int = eqx.field(static=True, default=32 * 2**20)

    def __check_init__(self) -> None:
        check_integer("kept_bytes", self.kept_bytes, least=0)

    def mesh(self, optimizer: LearnedOptimizer, num_tasks: int) -> Mesh:
        """Devices that tasks leave over share the coordinates of a recurrent optimizer."""
        return device_mesh(num_tasks, split_coordinates=as_recurrent(optimizer) is not None)

    def on_this_device(self, optimizer: LearnedOptimizer, mesh: Mesh) -> LearnedOptimizer:
        """The optimizer, or a part of its coordinates."""
        recurrent, num_parts = as_recurrent(optimizer), mesh.shape[COORDINATES]
        if recurrent is None or num_parts == 1:
            return optimizer
        return SplitCoordinates(recurrent.whole, COORDINATES, num_parts)

    def through_window(
        self, optimizer: LearnedOptimizer, meta_loss: MetaLoss, window: Window
    ) -> WindowGradient:
        """Runs the window and differentiates it."""
        recurrent = as_recurrent(optimizer)
        if recurrent is not None:
            is_part = recurrent.whole is not recurrent
            if is_part or not self._keeps_states(window):
                return _by_coordinates(recurrent, meta_loss, window)
        return gradient_through_unroll(
            optimizer, meta_loss, window, first_order=True, checkpoint=True
        )

    def _keeps_states(self, window: Window) -> bool:
        leaves = jax.tree.leaves(window.state)
        one_step = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
        return window.num_steps * one_step <= self.kept_bytes


def _by_coordinates(
    optimizer: RecurrentOptimizer | SplitCoordinates, meta_loss: MetaLoss, window: Window
) -> WindowGradient:
    """The meta-gradient from the gradients that the inner loop met."""
    coordinates = optimizer.own_coordinates

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
    gradient = coordinate_gradient(
        optimizer.whole,
        window.state.opt_state.coordinates,
        window.state.opt_state.step,
        window.fresh,
        gradients,
        cotangents,
    )
    gradient = optimizer.sum_over_parts(gradient)
    total = jnp.zeros(()) if added is None else jnp.sum(added.value)
    return WindowGradient(value + total, total, trajectory.losses, trajectory.state, gradient)
