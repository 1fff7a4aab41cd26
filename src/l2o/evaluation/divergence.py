"""When a run counts as diverged."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

_RATIO = 10.0


def diverged(
    losses: Float[Array, "*runs losses"] | Float[np.ndarray, "*runs losses"],
) -> Bool[Array, "*runs"] | Bool[np.ndarray, "*runs"]:
    """Whether any loss of a run is not finite, or the last is above ten times the first.

    For first losses below zero: whether the loss rises by more than nine times its size.

    **Arguments:** `losses`, on the last axis, of NumPy or JAX.

    ```pycon
    >>> l2o.evaluation.diverged(np.array([[1.0, 0.5], [1.0, 11.0], [1.0, np.nan]]))
    array([False,  True,  True])
    ```
    """
    arrays: Any = losses.__array_namespace__()
    first, last = losses[..., 0], losses[..., -1]
    with np.errstate(invalid="ignore", over="ignore"):
        rises = last - first > (_RATIO - 1) * arrays.abs(first)
    return arrays.logical_or(~arrays.isfinite(losses).all(axis=-1), rises)
