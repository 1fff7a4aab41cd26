"""Metrics at a common training loss, so that methods are not compared by how far they trained."""

import numpy as np
from jaxtyping import Float


def where_first_below(
    level: float, along: str, records: dict[str, Float[np.ndarray, "records tasks"]]
) -> dict[str, Float[np.ndarray, " tasks"]]:
    """Every other metric where one first falls below a level.

    Between the record before and the one after, metrics are taken to be linear in the logarithm of
    the one that falls.

    **Arguments:** `level`, above 0; `along`, the metric that falls; `records`, of all metrics, in
    order of time.

    **Returns:** the other metrics; not a number for tasks that never are below.
    """
    falling = records[along]
    below = falling < level
    tasks = np.arange(falling.shape[1])
    after = np.argmax(below, axis=0)
    before = np.maximum(after - 1, 0)
    high, low = (np.log(np.maximum(falling[at, tasks], 1e-30)) for at in (before, after))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(after > 0, (high - np.log(level)) / (high - low), 0)
    return {
        name: np.where(
            below.any(axis=0),
            values[before, tasks] + share * (values[after, tasks] - values[before, tasks]),
            np.nan,
        )
        for name, values in records.items()
        if name != along
    }
