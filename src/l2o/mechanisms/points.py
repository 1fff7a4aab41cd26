"""Sets of points: which of them are the same, which lie near, which lie far apart."""

import numpy as np
from jaxtyping import Bool, Float, Int

SAME = 1e-5
"""Points closer than this, relative to the size of points around, are one."""


def are_finite(points: Float[np.ndarray, "points state"]) -> Bool[np.ndarray, " points"]:
    """Whether all coordinates of each point are finite."""
    return np.all(np.isfinite(points), axis=1)


def typical_size(points: Float[np.ndarray, "points state"]) -> float:
    """The median length of the points that are finite; 1 where there are none, or it is zero."""
    finite = points[are_finite(points)]
    return (float(np.median(np.linalg.norm(finite, axis=1))) if len(finite) else 0.0) or 1.0


def nearest(
    queries: Float[np.ndarray, "queries state"],
    points: Float[np.ndarray, "points state"],
    size: float,
    within: float = SAME,
) -> Int[np.ndarray, " queries"]:
    """For each query, the index of the nearest point; -1 where none is near.

    **Arguments:** `queries` and `points`; `size`, of typical points; `within`, how near, relative
    to `size`, or to the point's own size where that is larger.
    """
    if not len(points):
        return np.full(len(queries), -1)
    # One point at a time: there are few, and all differences at once may not fit into memory.
    distances = np.stack([np.linalg.norm(queries - point, axis=1) for point in points])
    index = np.argmin(distances, axis=0)
    sizes = np.maximum(size, np.linalg.norm(points[index], axis=1))
    return np.where(np.min(distances, axis=0) <= within * sizes, index, -1)


def distinct(
    points: Float[np.ndarray, "points state"], size: float, same: float = SAME
) -> Int[np.ndarray, " distinct"]:
    """The indices of the points that do not repeat an earlier one (see `nearest`)."""
    kept, left = [], np.arange(len(points))
    while left.size:
        first, left = left[0], left[1:]
        kept.append(first)
        left = left[nearest(points[left], points[[first]], size, same) < 0]
    return np.array(kept, int)


def spread_out(points: Float[np.ndarray, "points state"], count: int) -> Int[np.ndarray, " chosen"]:
    """The indices of at most `count` points: the first, then each the farthest from all before."""
    if not len(points):
        return np.zeros(0, int)
    chosen = [0]
    distances = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < count and np.max(distances) > 0:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)
