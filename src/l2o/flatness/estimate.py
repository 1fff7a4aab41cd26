"""Numbers estimated from random samples."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_size
from l2o.support.keys import check_key
from l2o.support.scaling import standard_deviation

# Samples computed side by side: enough to fill processors, few enough for memory.
SAMPLES_AT_ONCE = 8


class Estimate(NamedTuple):
    """An estimate, and how far it may be off.

    ```pycon
    >>> estimate = l2o.flatness.Estimate(value=jnp.array(2.0), standard_error=jnp.array(0.1))
    >>> float(estimate)
    2.0
    ```
    """

    value: Float[Array, "*batch"]
    standard_error: Float[Array, "*batch"]
    """The standard deviation of the estimate. NaN for a single sample."""

    def __float__(self) -> float:
        """The value alone."""
        return float(self.value)


def mean_of(
    sample: Callable[[PRNGKeyArray], Float[Array, ""]], key: PRNGKeyArray, num_samples: int
) -> Estimate:
    """The mean of independent samples.

    **Arguments:** `sample`, draws one; `key`; `num_samples`.

    **Raises:** `ValueError` if `num_samples` is less than 1.
    """
    samples = draw(sample, key, num_samples)
    return Estimate(jnp.mean(samples), standard_deviation(samples) / jnp.sqrt(num_samples))


def draw(
    sample: Callable[[PRNGKeyArray], Float[Array, "..."]], key: PRNGKeyArray, num_samples: int
) -> Float[Array, "samples ..."]:
    """Independent samples, a few at a time.

    **Raises:** `ValueError` if `num_samples` is less than 1.
    """
    check_size("the number of samples", num_samples)
    check_key(key)
    keys = jax.random.split(key, num_samples)
    return jax.lax.map(sample, keys, batch_size=min(SAMPLES_AT_ONCE, num_samples))
