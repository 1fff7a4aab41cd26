"""Learning rates that change in the course of a run."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.optimizers import settings
from l2o.support.checks import check_choice, check_number, check_size

SHAPES = ("cosine", "warm-up")


@dataclass(frozen=True)
class Schedule:
    """A learning rate over a run of known length, as Optax has schedules.

    It grows linearly, from a first step that is above zero. Then it falls along half a cosine, to
    reach zero where the run ends (Loshchilov and Hutter 2017, without restarts), or stays. Two of
    them that are made alike are equal.

        >>> schedule = l2o.optimizers.Schedule(num_steps=100, warm_up=0.1)
        >>> [round(float(schedule(step)), 3) for step in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.5, 0.0]

    It goes around any optimizer, a learned one, too:

        >>> learned = l2o.optimizers.RNNProp(hidden_size=4, key=jax.random.key(0))
        >>> falling = optax.scale_by_schedule(l2o.optimizers.Schedule(100))
        >>> optimizer = l2o.from_optax(optax.chain(l2o.as_optax(learned), falling))

    **Arguments:** `num_steps`, of the run; `peak`, the largest learning rate; `warm_up`, the share
    of the steps before it is reached, between 0 and 1; `shape` of what comes then, "cosine" or
    "warm-up", which stays. Numbers may be traced.

    **Raises:** `ValueError` for numbers out of range, and an unknown shape.
    """

    num_steps: int
    peak: float | Float[Array, ""] = 1.0
    warm_up: float | Float[Array, ""] = 0.05
    shape: str = "cosine"

    def __post_init__(self) -> None:
        check_size("num_steps", self.num_steps)
        check_choice("The shape of a schedule", self.shape, SHAPES)
        if not isinstance(self.peak, Tracer):
            largest = settings.LARGEST_FACTOR
            check_number("peak", self.peak, least=-largest, most=largest)
        if not isinstance(self.warm_up, Tracer):
            check_number("warm_up", self.warm_up, least=0, most=1)

    def __call__(self, count: ArrayLike) -> Float[Array, ""]:
        """The learning rate of the step before which there were `count`."""
        count = jnp.asarray(count, float)
        warm_up = self.warm_up * self.num_steps
        share = jnp.minimum((count + 1) / jnp.maximum(warm_up, 1), 1)
        if self.shape == "cosine":
            passed = (count - warm_up) / jnp.maximum(self.num_steps - warm_up, 1)
            share *= (1 + jnp.cos(jnp.pi * jnp.clip(passed, 0, 1))) / 2
        return self.peak * share
