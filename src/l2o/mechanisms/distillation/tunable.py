"""A closed form as a hand-designed optimizer, whose numbers can be tuned as those of any other."""

from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from l2o.mechanisms.distillation.numbers import LARGEST_POWER
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.optimizers import (
    HandDesigned,
    LogUniform,
    OneMinusLogUniform,
    SearchRange,
    Uniform,
    as_optax,
)

# Other numbers are searched up to so many times as large, and as small.
_FACTOR = 10.0
_SMALLEST = 1e-12
_MEMORY = OneMinusLogUniform(0.0, 0.9999, low_is_limit=True)
_ALTERNATING = Uniform(-0.999, 0.0)
_POWER = Uniform(0.0, LARGEST_POWER, low_is_limit=True)
_INVERSE_POWER = Uniform(-LARGEST_POWER, 0.0)
_SHARE = Uniform(0.0, 1.0, low_is_limit=True)


class _Tunable(NamedTuple):
    """One number of a closed form."""

    path: str
    """The leaf that holds it."""
    place: int | None
    """Where in the leaf, if it holds several."""
    default: float
    searched: SearchRange
    sign: float = 1.0

    def put(self, optimizer: DistilledOptimizer, value: ScalarLike) -> DistilledOptimizer:
        """The optimizer with another value of the number."""
        where = attrgetter(self.path)
        old: Float[Array, ...] = where(optimizer)
        signed = self.sign * jnp.asarray(value, old.dtype)
        new = signed if self.place is None else old.at[self.place].set(signed)
        return eqx.tree_at(where, optimizer, new)


def as_hand_designed(optimizer: DistilledOptimizer, name: str = "closed form") -> HandDesigned:
    """The rule with all its numbers as hyperparameters, which by default are what they are.

    Shares and decay rates are searched in all of their ranges, powers up to two; other numbers up
    to ten times as large and as small, with the sign they have.

    **Arguments:** `optimizer`; `name`, of the result.
    """
    numbers = dict(_numbers(optimizer))

    def build(**values: ScalarLike) -> optax.GradientTransformation:
        changed = optimizer
        for each, value in values.items():
            changed = numbers[each].put(changed, value)
        return as_optax(changed)

    return HandDesigned(
        name=name,
        build=build,
        space={each: number.searched for each, number in numbers.items()},
        defaults={each: number.default for each, number in numbers.items()},
    )


def _numbers(optimizer: DistilledOptimizer) -> Iterator[tuple[str, _Tunable]]:
    """All numbers that are there, by name."""

    def value(path: str, index: int | None = None) -> float:
        leaf = attrgetter(path)(optimizer)
        return float(leaf if index is None else leaf[index])

    def within(path: str, searched: SearchRange, index: int | None = None) -> _Tunable:
        return _Tunable(path, index, value(path, index), searched)

    def around(path: str, index: int | None = None) -> _Tunable:
        size = max(abs(value(path, index)), _SMALLEST)
        searched = LogUniform(size / _FACTOR, size * _FACTOR)
        return _Tunable(path, index, size, searched, -1.0 if value(path, index) < 0 else 1.0)

    for index in range(optimizer.momentum.betas.size):
        beta = value("momentum.betas", index)
        # A beta of zero is gradient descent, which has no memory.
        if beta:
            memory = _MEMORY if beta > 0 else _ALTERNATING
            yield f"beta_{index + 1}", within("momentum.betas", memory, index)
        yield f"alpha_{index + 1}", around("momentum.alphas", index)
    if optimizer.saturation is not None:
        yield "threshold", around("saturation.threshold")
    if optimizer.adaptation is not None:
        yield "decay", within("adaptation.decay", _MEMORY)
        yield "scale", around("adaptation.scale")
        power = _POWER if value("adaptation.power") >= 0 else _INVERSE_POWER
        yield "power", within("adaptation.power", power)
    if optimizer.warm_up is not None:
        yield "warm_up_start", within("warm_up.start", _SHARE)
        yield "warm_up_time", around("warm_up.time_constant")
    if optimizer.decay is not None:
        yield "decay_final", within("decay.final", _SHARE)
        yield "decay_time", around("decay.time_constant")
        yield "decay_shape", around("decay.shape")
    if optimizer.offset is not None:
        yield "offset", around("offset")
