"""Inverted generational distance."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def igd(points: Float[Array, "points m"], front: Float[Array, "front m"]) -> Float[Array, ""]:
    """The mean distance from the points of a front to the nearest point that was found.

    It is small only if what was found is close to the front everywhere, and zero only if it
    contains all points of the front that were given.

    Source: Coello Coello and Reyes Sierra 2004, A Study of the Parallelization of a
    Coevolutionary Multi-objective Evolutionary Algorithm.

    **Arguments:** `points`, losses of m objectives, one row a point; `front`, points spread over
    the known Pareto front.

    **Returns:** the mean. Points with a loss of NaN are near to nothing; infinite without points.

    **Raises:** `ValueError` if the front has no point.
    """
    if len(front) == 0:
        raise ValueError("A front must have at least one point, got none.")

    def to_nearest(target: Float[Array, " m"]) -> Float[Array, ""]:
        squares = jnp.sum((points - target) ** 2, axis=1)
        return jnp.min(jnp.where(jnp.isnan(squares), jnp.inf, squares), initial=jnp.inf)

    return jnp.mean(jnp.sqrt(jax.lax.map(to_nearest, front)))
