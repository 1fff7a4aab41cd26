"""Coordinate-wise optimizers made of input features and a recurrent network."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, Int, PyTree

from l2o.optimizers.coordinatewise import CoordinatewiseOptimizer
from l2o.optimizers.layers import Layer, State


class RecurrentState(eqx.Module):
    """The state of a recurrent optimizer's coordinates."""

    accumulators: PyTree[Float[Array, "... coordinates"]]
    """What the input features remember, such as moving averages."""
    network: State


class RecurrentOptimizer(CoordinatewiseOptimizer):
    """Features of the gradients so far, then a recurrent network whose one output is the update.

    All meta-parameters are the network's.
    """

    network: eqx.AbstractVar[Layer]

    @property
    def whole(self) -> "RecurrentOptimizer":
        """The optimizer of all coordinates: itself; of a part of them, see `SplitCoordinates`."""
        return self

    def init_accumulators(self, count: int) -> PyTree[Float[Array, "... {count}"]]:
        """What the features remember before the first step; nothing by default."""
        del count
        return ()

    @abc.abstractmethod
    def features(
        self,
        gradient: Float[Array, " coordinates"],
        accumulators: PyTree[Float[Array, "... coordinates"]],
        step: Int[Array, ""],
    ) -> tuple[Float[Array, "features coordinates"], PyTree[Float[Array, "... coordinates"]]]:
        """The network's inputs, and the new accumulators. `step` counts from 0."""

    def init_coordinates(self, count: int) -> RecurrentState:
        """The state for `count` coordinates before the first step."""
        return RecurrentState(self.init_accumulators(count), self.network.init_state(count))

    def step(
        self,
        gradient: Float[Array, " coordinates"],
        state: RecurrentState,
        step: Int[Array, ""],
    ) -> tuple[Float[Array, " coordinates"], RecurrentState]:
        """One step of the rule."""
        inputs, accumulators = self.features(gradient, state.accumulators, step)
        outputs, network = self.network(inputs, state.network)
        return outputs[0], RecurrentState(accumulators, network)
