"""Hypervolume."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from l2o.multiobjective.indicators.points import as_points


def hypervolume(points: ArrayLike, reference: ArrayLike) -> Float[Array, ""]:
    """The volume of what the points dominate and the reference does not.

    It is the measure of `{y: p <= y <= r for some point p}`. A point that another one dominates
    adds nothing, and of two sets the one that dominates the other has the larger volume.

    It is exact for any number m of objectives: the volume is cut into slices of the last
    objective, between which the volume of the others is constant, and so on down to two, where
    the points are swept in the order of the first. The work grows as `points^(m - 1)`. It can be
    compiled, mapped and differentiated.

    Source: Zitzler and Thiele 1998, Multiobjective Optimization Using Evolutionary Algorithms.

    **Arguments:** `points`, losses of m objectives, one row a point; `reference`, r, m losses or
    one number for all.

    **Returns:** the volume. A point that is not better than the reference in all objectives adds
    nothing, nor does one with a loss of NaN.

    **Raises:** `ValueError` if the points are no matrix, the reference does not have m losses, or
    m is zero.

    ```pycon
    >>> float(l2o.multiobjective.hypervolume(jnp.array([[0.0, 0.5], [0.5, 0.0]]), jnp.ones(2)))
    0.75
    ```
    """
    points = as_points(points)
    m = points.shape[1]
    bounds = jnp.asarray(reference, points.dtype)
    if m == 0 or bounds.shape not in ((), (m,)):
        raise ValueError(
            f"A reference is one number or one for every objective: the points have shape "
            f"{points.shape}, the reference {bounds.shape}."
        )
    bounds = jnp.broadcast_to(bounds, (m,))
    is_inside = jnp.all(points < bounds, axis=1)
    if m == 1:
        return jnp.max(bounds[0] - jnp.where(is_inside, points[:, 0], bounds[0]), initial=0.0)
    kept = jnp.where(is_inside[:, None], points, bounds)
    order = jnp.argsort(kept[:, 0])
    return _volume(kept[order], is_inside[order], bounds)


def _volume(
    points: Float[Array, "points m"], included: Bool[Array, " points"], bounds: Float[Array, " m"]
) -> Float[Array, ""]:
    """The volume of those points that are included, m at least 2, sorted by the first loss."""
    last = jnp.where(included, points[:, -1], bounds[-1])
    if len(bounds) == 2:
        widths = jnp.diff(points[:, 0], append=bounds[0])
        return jnp.sum(widths * (bounds[1] - jax.lax.cummin(last)))
    levels = jnp.sort(last)
    thicknesses = jnp.diff(levels, append=bounds[-1])

    def area(level: Float[Array, ""]) -> Float[Array, ""]:
        return _volume(points[:, :-1], included & (last <= level), bounds[:-1])

    return jnp.sum(thicknesses * jax.lax.map(area, levels))
