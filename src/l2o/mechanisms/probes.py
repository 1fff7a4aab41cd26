"""Steps of an optimizer from many states at once."""

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
_FEW_ROWS = 32


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


@in_double_precision
def run_many(
    dynamics: Dynamics,
    states: Float[ArrayLike, "rows state"],
    gradients: Float[ArrayLike, "rows steps"],
    times: ArrayLike,
) -> tuple[Float[np.ndarray, "rows steps"], Float[np.ndarray, "rows state"]]:
    """Some steps from many states, with the time held.

    **Arguments:** `dynamics`; `states`, one a row; `gradients`, met one after the other; `times`,
    one a row or one for all.

    **Returns:** all updates, and the states after the last step.
    """
    states, gradients = np.asarray(states, np.float64), np.asarray(gradients, np.float64)
    times = np.broadcast_to(np.asarray(times, int), len(gradients))
    pieces = []
    for first in range(0, len(gradients), _FEW_ROWS):
        rows = np.minimum(np.arange(first, first + _FEW_ROWS), len(gradients) - 1)
        ends = _run(dynamics, *(jnp.asarray(each[rows]) for each in (states, gradients, times)))
        pieces.append([np.asarray(end)[: len(gradients) - first] for end in ends])
    updates, after = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return updates, after


@eqx.filter_jit
def _run(dynamics: Dynamics, states: Array, gradients: Array, times: Array) -> tuple[Array, Array]:
    def run(state: Array, gradients: Array, time: Array) -> tuple[Array, Array]:
        def step(state: Array, gradient: Array) -> tuple[Array, Array]:
            update, following = dynamics(state, gradient, time)
            return following, update

        after, updates = jax.lax.scan(step, state, gradients)
        return updates, after

    return jax.vmap(run)(states, gradients, times)
