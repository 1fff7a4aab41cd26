"""One task's coordinates divided among devices."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from l2o.optimizers.coordinatewise import CoordinatewiseOptimizer, flatten
from l2o.optimizers.learned_optimizer import LearnedOptimizer
from l2o.optimizers.recurrent import RecurrentOptimizer, RecurrentState


class SplitCoordinates(CoordinatewiseOptimizer):
    """A recurrent optimizer of which every device runs its own part of the coordinates.

    To be used inside `jax.shard_map`, along the mesh axis `axis`. Gradients and updates are whole
    on every device; the state is the device's own part. Coordinates are padded to equal parts.
    """

    optimizer: RecurrentOptimizer
    axis: str = eqx.field(static=True)
    num_parts: int = eqx.field(static=True)

    @property
    def whole(self) -> RecurrentOptimizer:
        """The optimizer of all coordinates."""
        return self.optimizer

    def own(self, whole: Float[Array, " coordinates"]) -> Float[Array, " own"]:
        """This device's part of a vector over all coordinates."""
        size = self._part_size(whole.shape[0])
        padded = jnp.pad(whole, (0, size * self.num_parts - whole.shape[0]))
        start = size * jax.lax.axis_index(self.axis)
        return jax.lax.dynamic_slice_in_dim(padded, start, size)

    def own_coordinates(self, tree: PyTree) -> Float[Array, " own"]:
        """This device's part of the coordinates in a tree."""
        return self.own(flatten(tree))

    def sum_over_parts(self, tree: PyTree) -> PyTree:
        """Adds up over the devices that share the coordinates."""
        return jax.lax.psum(tree, self.axis)

    def state_size(self, count: int) -> int:
        """The number of this device's coordinates."""
        return self._part_size(count)

    def init_coordinates(self, count: int) -> RecurrentState:
        """The state of this device's part of `count` coordinates before the first step."""
        return self.optimizer.init_coordinates(self._part_size(count))

    def step(
        self,
        gradient: Float[Array, " coordinates"],
        state: RecurrentState,
        step: Int[Array, ""],
    ) -> tuple[Float[Array, " coordinates"], RecurrentState]:
        """One step of this device's part; the updates are exchanged."""
        update, state = self.optimizer.step(self.own(gradient), state, step)
        whole = jax.lax.all_gather(update, self.axis, tiled=True)
        return whole[: gradient.shape[0]], state

    def _part_size(self, count: int) -> int:
        return -(-count // self.num_parts)


def as_recurrent(optimizer: LearnedOptimizer) -> RecurrentOptimizer | SplitCoordinates | None:
    """The optimizer if every coordinate goes through a network of its own, or else `None`."""
    is_recurrent = isinstance(optimizer, RecurrentOptimizer | SplitCoordinates)
    return optimizer if is_recurrent else None
