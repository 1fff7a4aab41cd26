"""Which points no other point dominates."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool

from l2o.multiobjective.indicators.points import as_points


def non_dominated(points: ArrayLike) -> Bool[Array, " points"]:
    """Tells which points no other point of the set dominates.

    A point dominates another if it is no worse in all objectives and better in one; less is
    better. So equal points do not dominate one another.

    **Arguments:** `points`, losses of m objectives, one row a point.

    **Returns:** true where a point is not dominated; false where one of its losses is NaN.

    **Raises:** `ValueError` if the points are no matrix.

    ```pycon
    >>> l2o.multiobjective.non_dominated(jnp.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    Array([ True,  True, False], dtype=bool)
    ```
    """
    points = as_points(points)
    # One objective after the other, so that no array has points times points times m entries.
    no_worse = jnp.ones((len(points), len(points)), bool)
    better = jnp.zeros_like(no_worse)
    for losses in points.T:
        no_worse &= losses[:, None] <= losses
        better |= losses[:, None] < losses
    return ~jnp.any(no_worse & better, axis=0) & ~jnp.any(jnp.isnan(points), axis=1)
