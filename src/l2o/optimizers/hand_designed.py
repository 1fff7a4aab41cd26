"""Hand-designed optimizers with the ranges to search for their hyperparameters.

Learning rates are constant, without schedules: the learned optimizers get no schedule either, and
a schedule would have to know in advance how long the run is.
"""

import abc
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from l2o.optimizers import settings
from l2o.optimizers.built import built
from l2o.optimizers.learned_optimizer import OptaxOptimizer, from_optax
from l2o.optimizers.parameters import bounded
from l2o.support.checks import check_choice, check_number

_EDGE = 0.05


class SearchRange(eqx.Module):
    """Where to search for a hyperparameter: an interval and the scale on which it is uniform."""

    low: eqx.AbstractVar[float]
    high: eqx.AbstractVar[float]
    low_is_limit: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def position(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Where values lie on the range's own scale: 0 for `low`, 1 for `high`."""

    @abc.abstractmethod
    def at(self, position: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The values at positions between 0 and 1: the inverse of `position`."""

    @abc.abstractmethod
    def check(self, name: str, value: Any) -> None:
        """Makes sure that a hyperparameter makes sense, within the range to search or outside it.

        **Raises:** `ValueError` that calls it by `name`.
        """

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Draws values that are uniform on the range's own scale.

        They are in single precision, so that they leave the parameters' own precision as it is.
        """
        return self.at(jax.random.uniform(key, shape, jnp.float32))

    def on_edge(self, value: ScalarLike) -> bool:
        """Whether `value` lies so near an end that better values may lie beyond it.

        Near means within 5 % of the range, on its own scale. A low end that is a limit is no edge.
        """
        position = float(self.position(value))
        return position > 1 - _EDGE or (position < _EDGE and not self.low_is_limit)


class Uniform(SearchRange):
    """Uniform between `low` and `high`.

    ```pycon
    >>> shares = l2o.optimizers.Uniform(0.0, 2.0)
    >>> float(shares.at(jnp.array(0.25)))
    0.5
    ```
    """

    low: float
    high: float
    low_is_limit: bool = False
    """Nothing is to be found below `low`: the hyperparameter ends, or ceases to matter, there."""

    def __check_init__(self) -> None:
        _check_ends(self)

    def check(self, name: str, value: Any) -> None:
        """Any finite number will do."""
        largest = settings.LARGEST_FACTOR
        check_number(name, value, least=-largest, most=largest)

    def position(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """The fraction of the interval below `value`."""
        return (jnp.asarray(value, jnp.float32) - self.low) / (self.high - self.low)

    def at(self, position: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Linear between the ends."""
        return jnp.clip(self.low + position * (self.high - self.low), self.low, self.high)


class LogUniform(SearchRange):
    """Uniform in the logarithm, between `low` and `high`, both above zero.

    ```pycon
    >>> rates = l2o.optimizers.LogUniform(1e-4, 1.0)
    >>> print(f"{rates.at(jnp.array(0.5)):.3f}")
    0.010
    ```
    """

    low: float
    high: float
    low_is_limit: bool = False
    """Nothing is to be found below `low`: the hyperparameter ends, or ceases to matter, there."""
    zero_is_valid: bool = False
    """Whether the hyperparameter may be zero, although a search never comes to it."""

    def __check_init__(self) -> None:
        _check_ends(self)
        if self.low <= 0:
            raise ValueError(f"A logarithmic range lies above zero, got low = {self.low}.")

    def check(self, name: str, value: Any) -> None:
        """It has to be above zero, or zero where that is valid."""
        if self.zero_is_valid:
            check_number(name, value, least=0, most=settings.LARGEST_FACTOR)
        else:
            check_number(name, value, above=0, most=settings.LARGEST_FACTOR)

    def position(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """The fraction of the orders of magnitude below `value`."""
        return jnp.log(jnp.asarray(value, jnp.float32) / self.low) / math.log(self.high / self.low)

    def at(self, position: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Geometric between the ends."""
        values = self.low * jnp.exp(position * math.log(self.high / self.low))
        return jnp.clip(values, self.low, self.high)


class OneMinusLogUniform(SearchRange):
    """Uniform in the logarithm of one minus the value, between `low` and `high`, both below one.

    For decay rates such as momentum, where 1 / (1 - value) is the time scale that matters.

    ```pycon
    >>> decays = l2o.optimizers.OneMinusLogUniform(0.9, 0.999)
    >>> print(f"{decays.at(jnp.array(0.5)):.3f}")
    0.990
    ```
    """

    low: float
    high: float
    low_is_limit: bool = False
    """Nothing is to be found below `low`: the hyperparameter ends, or ceases to matter, there."""

    def __check_init__(self) -> None:
        _check_ends(self)
        if self.high > settings.LARGEST_DECAY:
            raise ValueError(f"A range of decay rates lies below one, got high = {self.high}.")

    def check(self, name: str, value: Any) -> None:
        """It has to be below one, and not below zero unless the range is."""
        check_number(name, value, least=min(0, self.low), most=settings.LARGEST_DECAY)

    def position(self, value: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """The fraction of the orders of magnitude of time scales below that of `value`."""
        return jnp.log((1 - jnp.asarray(value, jnp.float32)) / (1 - self.low)) / self._log_ratio

    def at(self, position: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Geometric, in one minus the value, between the ends."""
        values = 1 - (1 - self.low) * jnp.exp(position * self._log_ratio)
        return jnp.clip(values, self.low, self.high)

    @property
    def _log_ratio(self) -> float:
        return math.log((1 - self.high) / (1 - self.low))


def _check_ends(searched: SearchRange) -> None:
    largest = settings.LARGEST_FACTOR
    for name, end in (("low", searched.low), ("high", searched.high)):
        check_number(f"The {name} end of a search range", end, least=-largest, most=largest)
    if not searched.low < searched.high:
        raise ValueError(
            "A search range goes up from its low end to its high end, got "
            f"low = {searched.low} and high = {searched.high}."
        )


class HandDesigned(eqx.Module):
    """A hand-designed optimizer, its hyperparameters and where to search for them.

    ```pycon
    >>> optimizer = l2o.optimizers.momentum.with_hyperparameters(learning_rate=0.1, momentum=0.9)
    >>> updates, state = optimizer.update(jnp.ones(1), optimizer.init(jnp.zeros(1)))
    >>> updates
    Array([-0.1], dtype=float32)
    >>> sorted(l2o.optimizers.momentum.space)
    ['learning_rate', 'momentum']
    ```
    """

    name: str
    build: Callable[..., optax.GradientTransformation]
    """Takes the hyperparameters as keywords. They may be traced scalars."""
    space: dict[str, SearchRange]
    """The range of each hyperparameter that is tuned."""
    defaults: dict[str, float]
    """The customary value of each hyperparameter in `space`."""

    def __check_init__(self) -> None:
        if not self.space or self.space.keys() != self.defaults.keys():
            raise ValueError(
                f"{self.name}: space and defaults must name the same hyperparameters, at least "
                "one (what has none to tune goes through from_optax), got "
                f"{sorted(self.space)} and {sorted(self.defaults)}."
            )
        for name, value in self.defaults.items():
            self.space[name].check(f"The default of {self.name}'s {name}", value)

    def with_hyperparameters(self, **values: ScalarLike) -> OptaxOptimizer:
        """The optimizer with these hyperparameters, and the defaults of those not given.

        Optimizers with the same hyperparameters, unless traced, are equal, and compiled once.

        **Arguments:** values for names in `space`: numbers or scalar arrays, traced ones too.

        **Raises:** `ValueError` for a hyperparameter that the optimizer does not have, or that is
        out of range.
        """
        numbers: dict[str, float] = {}
        for name, value in values.items():
            check_choice(f"A hyperparameter of {self.name}", name, self.space)
            if not isinstance(value, Tracer):
                number = _number(value)
                self.space[name].check(f"{self.name}'s {name}", number)
                numbers[name] = float(number)
        if len(numbers) < len(values):
            return from_optax(self.build(**(self.defaults | values | numbers)))
        return from_optax(built(self.build, **(self.defaults | numbers)))


def _number(value: Any) -> Any:
    """A scalar array as a number; anything else as it is."""
    is_scalar = isinstance(value, jax.Array | np.ndarray | np.generic) and value.ndim == 0
    return value.item() if is_scalar else value


# Wide on purpose. The best learning rate of momentum is about 4 on the random quadratics of
# Maheswaranathan et al. 2021 and 5e-4 on the Rosenbrock function.
_GRADIENT_STEP = LogUniform(1e-6, 1e2)
# Where the step does not scale with the gradient, the learning rate is the step's own size.
_NORMALIZED_STEP = LogUniform(1e-5, 1e2)
_DECAY = OneMinusLogUniform(0.0, 0.999, low_is_limit=True)
_SLOW_DECAY = OneMinusLogUniform(0.0, 0.9999, low_is_limit=True)
# The top turns Adam into momentum wherever gradients are below 10 or so.
_EPSILON = LogUniform(1e-10, 1e2, low_is_limit=True)
_WEIGHT_DECAY = LogUniform(1e-6, 1e1, low_is_limit=True, zero_is_valid=True)


def _bounded(
    transformation: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """A transformation that sees gradients above 1e15 as 1e15, as learned optimizers do.

    A second moment that overflows, at gradients of 1e20, is infinite for ever.
    """
    inner = optax.with_extra_args_support(transformation)

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        return inner.update(jax.tree.map(bounded, updates), state, params, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _nesterov(**hyperparameters: Any) -> optax.GradientTransformation:
    return optax.sgd(**hyperparameters, nesterov=True)


def _rmsprop(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.rmsprop(**hyperparameters))


def _adam(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adam(**hyperparameters))


def _adamw(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adamw(**hyperparameters))


def _adagrad(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adagrad(**hyperparameters))


def _adan(**hyperparameters: Any) -> optax.GradientTransformation:
    return _bounded(optax.adan(**hyperparameters))


sgd = HandDesigned(
    name="sgd",
    build=optax.sgd,
    space={"learning_rate": _GRADIENT_STEP},
    defaults={"learning_rate": 0.01},
)
"""Gradient descent (`optax.sgd`)."""

momentum = HandDesigned(
    name="momentum",
    build=optax.sgd,
    space={"learning_rate": _GRADIENT_STEP, "momentum": _DECAY},
    defaults={"learning_rate": 0.01, "momentum": 0.9},
)
"""The heavy ball (Polyak 1964), `v = momentum * v + gradient` (`optax.sgd`)."""

nesterov = HandDesigned(
    name="nesterov",
    build=_nesterov,
    space={"learning_rate": _GRADIENT_STEP, "momentum": _DECAY},
    defaults={"learning_rate": 0.01, "momentum": 0.9},
)
"""Nesterov's momentum (`optax.sgd` with `nesterov=True`)."""

rmsprop = HandDesigned(
    name="rmsprop",
    build=_rmsprop,
    # `eps` stands beside the squared gradients, under the root.
    space={
        "learning_rate": _NORMALIZED_STEP,
        "decay": _SLOW_DECAY,
        "eps": LogUniform(1e-16, 1e4, low_is_limit=True),
    },
    defaults={"learning_rate": 1e-3, "decay": 0.9, "eps": 1e-8},
)
"""RMSProp (Hinton 2012; `optax.rmsprop`), without momentum."""

adam = HandDesigned(
    name="adam",
    build=_adam,
    space={"learning_rate": _NORMALIZED_STEP, "b1": _DECAY, "b2": _SLOW_DECAY, "eps": _EPSILON},
    defaults={"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
)
"""Adam (Kingma and Ba 2015; `optax.adam`)."""

adamw = HandDesigned(
    name="adamw",
    build=_adamw,
    space={
        "learning_rate": _NORMALIZED_STEP,
        "b1": _DECAY,
        "b2": _SLOW_DECAY,
        "eps": _EPSILON,
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 1e-4},
)
"""Adam with decoupled weight decay (Loshchilov and Hutter 2019; `optax.adamw`)."""


def _sam(
    learning_rate: float | Float[Array, ""], rho: float | Float[Array, ""]
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with the gradient taken a distance `rho` uphill.

    Optax's own (`optax.contrib.sam`) divides by a norm that is zero where gradients are zero or
    their squares underflow, and is not a number ever after.
    """
    descent = optax.sgd(learning_rate)

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        value_fn: Callable[[optax.Params], Array] | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        del extra
        if value_fn is None:
            raise ValueError("sam looks at the loss uphill, so its update takes value_fn=.")
        uphill = jax.tree.map(
            lambda x, direction: (x + rho * direction).astype(jnp.result_type(x)),
            params,
            _normalized(updates),
        )
        return descent.update(jax.grad(value_fn)(uphill), state, params)

    return optax.GradientTransformationExtraArgs(descent.init, update)


def _normalized(tree: optax.Updates) -> optax.Updates:
    """A tree over its norm; zero where it is zero. It may have any size that its numbers have."""
    leaves = [jnp.abs(leaf) for leaf in jax.tree.leaves(tree)]
    largest = jnp.max(jnp.stack([jnp.max(leaf, initial=0.0) for leaf in leaves]))
    scaled = jax.tree.map(lambda leaf: leaf / jnp.where(largest > 0, largest, 1.0), tree)
    norm = optax.global_norm(scaled)
    return jax.tree.map(lambda leaf: leaf / jnp.where(largest > 0, norm, 1.0), scaled)


sam = HandDesigned(
    name="sam",
    build=_sam,
    space={
        "learning_rate": _GRADIENT_STEP,
        "rho": LogUniform(1e-3, 1e1, low_is_limit=True, zero_is_valid=True),
    },
    defaults={"learning_rate": 0.01, "rho": 0.05},
)
"""Sharpness-aware minimization (Foret et al. 2021) with gradient descent.

Each step takes two gradients on its minibatch.
"""

adagrad = HandDesigned(
    name="adagrad",
    build=_adagrad,
    # A sum of squares starts in the units of a squared gradient. `eps` does the same for much less.
    space={
        "learning_rate": LogUniform(1e-4, 1e2),
        "initial_accumulator_value": LogUniform(1e-10, 1e8, low_is_limit=True, zero_is_valid=True),
    },
    defaults={"learning_rate": 0.1, "initial_accumulator_value": 0.1},
)
"""AdaGrad (Duchi et al. 2011; `optax.adagrad`)."""

lion = HandDesigned(
    name="lion",
    build=optax.lion,
    space={
        "learning_rate": LogUniform(1e-6, 1e1),
        "b1": _DECAY,
        "b2": _SLOW_DECAY,
        "weight_decay": _WEIGHT_DECAY,
    },
    defaults={"learning_rate": 1e-4, "b1": 0.9, "b2": 0.99, "weight_decay": 1e-3},
)
"""Lion (Chen et al. 2023; `optax.lion`): the sign of a momentum, itself found by search."""

adan = HandDesigned(
    name="adan",
    build=_adan,
    space={
        "learning_rate": _NORMALIZED_STEP,
        "b1": _DECAY,
        "b2": _DECAY,
        "b3": _SLOW_DECAY,
        "eps": _EPSILON,
    },
    defaults={"learning_rate": 1e-3, "b1": 0.98, "b2": 0.92, "b3": 0.99, "eps": 1e-8},
)
"""Adan (Xie et al. 2022; `optax.adan`): Adam with a Nesterov momentum of its own.

The newer of the adaptive methods that treats every parameter alone, as the learned optimizers
do, whatever its shape. Of the other candidates in Optax, Muon differs from AdamW on matrices
only, Prodigy sets its own learning rate, ADOPT gives away the first of few steps, and
schedule-free methods are judged at other parameters than those they step.
"""

ALL_HAND_DESIGNED: tuple[HandDesigned, ...] = (
    sgd,
    momentum,
    nesterov,
    rmsprop,
    adam,
    adamw,
    sam,
    adagrad,
    lion,
    adan,
)
"""Every hand-designed optimizer of this module, to be tuned and compared with."""
