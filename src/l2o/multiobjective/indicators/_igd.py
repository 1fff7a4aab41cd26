"""Inverted generational distance."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.multiobjective.indicators.points import as_points


def igd(points: ArrayLike, front: ArrayLike) -> Float[Array, ""]:
    """The mean distance from the points of a front to the nearest point that was found.

    It is small only if what was found is close to the front everywhere, and zero only if it
    contains all points of the front that were given.

    Source: Coello Coello and Reyes Sierra 2004, A Study of the Parallelization of a
    Coevolutionary Multi-objective Evolutionary Algorithm.

    **Arguments:** `points`, losses of m objectives, one row a point; `front`, points spread over
    the known Pareto front.

    **Returns:** the mean. Points with a loss of NaN are near to nothing; infinite without points.

    **Raises:** `ValueError` if points or front are no matrix, are of different numbers of
    objectives, or the front has no point.

    ```pycon
    >>> front = jnp.array([[0.0, 1.0], [1.0, 0.0]])
    >>> print(f"{l2o.multiobjective.igd(jnp.array([[0.0, 1.0]]), front):.3f}")
    0.707
    ```
    """
    points, front = as_points(points), as_points(front, "front")
    if points.shape[1] != front.shape[1]:
        raise ValueError(
            f"Points and front must have as many objectives, got {points.shape[1]} and "
            f"{front.shape[1]}."
        )
    if len(front) == 0:
        raise ValueError("A front must have at least one point, got none.")

    def to_nearest(target: Float[Array, " m"]) -> Float[Array, ""]:
        squares = jnp.sum((points - target) ** 2, axis=1)
        return jnp.min(jnp.where(jnp.isnan(squares), jnp.inf, squares), initial=jnp.inf)

    return jnp.mean(jnp.sqrt(jax.lax.map(to_nearest, front)))
