"""A closed-form optimizer composed of mechanisms."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from l2o.mechanisms.distillation.adaptation import Adaptation
from l2o.mechanisms.distillation.momentum import Momentum
from l2o.mechanisms.distillation.saturation import Saturation
from l2o.mechanisms.distillation.schedule import Decay, WarmUp
from l2o.optimizers import CoordinatewiseOptimizer


class DistilledState(NamedTuple):
    """What the mechanisms remember of every coordinate."""

    average: Float[Array, " coordinates"] | None
    """Of squared gradients, for adaptation."""
    modes: Float[Array, "modes coordinates"]
    """Of momentum."""


class DistilledOptimizer(CoordinatewiseOptimizer):
    """Mechanisms one after the other, each of which may be absent.

    Gradients are bounded by the saturation, multiplied by the adaptation's factor before or after
    they go through momentum, and the result by the factors of the schedule. A constant `offset` is
    added at every step. Its leaves are the mechanisms' numbers, so it can be meta-trained on.
    """

    momentum: Momentum
    saturation: Saturation | None = None
    adaptation: Adaptation | None = None
    warm_up: WarmUp | None = None
    decay: Decay | None = None
    offset: Float[Array, ""] | None = None

    def init_coordinates(self, count: int) -> DistilledState:
        """The mechanisms' memories before the first step."""
        average = None if self.adaptation is None else self.adaptation.init(count)
        return DistilledState(average, self.momentum.init(count))

    def step(
        self, gradient: Float[Array, " coordinates"], state: DistilledState, step: Int[Array, ""]
    ) -> tuple[Float[Array, " coordinates"], DistilledState]:
        """One step of the rule."""
        average = state.average
        before = after = jnp.ones(())
        if self.saturation is not None:
            gradient = self.saturation(gradient)
        if self.adaptation is not None and average is not None:
            factor, average = self.adaptation(gradient, average, step)
            before = jnp.where(self.adaptation.after_momentum, 1.0, factor)
            after = jnp.where(self.adaptation.after_momentum, factor, 1.0)
        update, modes = self.momentum(before * gradient, state.modes, step)
        for schedule in (self.warm_up, self.decay):
            after = after if schedule is None else schedule(step) * after
        update = after * update
        if self.offset is not None:
            update = update + self.offset
        return update, DistilledState(average, modes)
