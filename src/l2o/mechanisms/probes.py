"""Single steps of an optimizer from many states at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.precision import in_double_precision

# All calls are made in batches of this many rows, so that one program does for all of them.
_ROWS = 2048


@in_double_precision
def step_many(
    dynamics: Dynamics,
    states: Float[ArrayLike, "rows state"],
    gradients: Float[ArrayLike, " rows"],
    times: ArrayLike = 0,
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "rows state"]]:
    """The updates and next states of many states, each with a gradient and a time of its own.

    **Arguments:** `dynamics`; `states` and `gradients`; `times`, one a row or one for all.

    **Returns:** updates and next states.
    """
    states, gradients = np.asarray(states, np.float64), np.asarray(gradients, np.float64)
    times = np.broadcast_to(np.asarray(times, int), gradients.shape)
    updates, following = np.empty(gradients.shape), np.empty(states.shape)
    for first in range(0, len(gradients), _ROWS):
        rows = np.minimum(np.arange(first, first + _ROWS), len(gradients) - 1)
        ends = _step(dynamics, *(jnp.asarray(each[rows]) for each in (states, gradients, times)))
        kept = slice(first, min(first + _ROWS, len(gradients)))
        updates[kept], following[kept] = (np.asarray(end)[: kept.stop - kept.start] for end in ends)
    return updates, following


@eqx.filter_jit
def _step(dynamics: Dynamics, states: Array, gradients: Array, times: Array) -> tuple[Array, Array]:
    return jax.vmap(dynamics)(states, gradients, times)
