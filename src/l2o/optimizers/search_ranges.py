"""Where to search for hyperparameters, and which values of them make sense."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from l2o.optimizers import settings
from l2o.support.checks import check_number

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


class Share(Uniform):
    """Uniform between `low` and `high`, of a share of something.

    ```pycon
    >>> l2o.optimizers.Share(0.0, 0.5).check("warm_up", 0.75)
    ```
    """

    def check(self, name: str, value: Any) -> None:
        """It has to be between 0 and 1."""
        check_number(name, value, least=0, most=1)


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
    least_valid: float = 0.0
    """The least value that makes sense, unless `low` is less."""

    def __check_init__(self) -> None:
        _check_ends(self)
        if self.high > settings.LARGEST_DECAY:
            raise ValueError(f"A range of decay rates lies below one, got high = {self.high}.")

    def check(self, name: str, value: Any) -> None:
        """It has to be below one, and not below `least_valid` unless the range is."""
        least = min(self.least_valid, self.low)
        check_number(name, value, least=least, most=settings.LARGEST_DECAY)

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
