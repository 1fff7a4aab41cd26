"""What every method changes, network by network."""

from typing import Any, get_args

import numpy as np
from jaxtyping import Float

from l2o.evaluation import paired_difference
from l2o.report.plain import number, plain
from l2o.studies.flatness.rows import (
    Cell,
    Compared,
    Comparison,
    Difference,
    DifferenceAtLevel,
    Row,
    by_cell,
    metric_of,
)

COMPARED: tuple[Compared, ...] = get_args(Compared)
"""Metrics whose differences are taken where training ends."""


def compare_methods(rows: list[Row], levels: tuple[float, ...] = ()) -> list[Comparison]:
    """Compares every cell with its reference.

    Networks with the same seed share their data, initialisation and minibatches. Their difference
    is first averaged over meta-seeds, so that the interval is one over networks, and says what
    these very meta-trainings are worth. What another one would be worth, the interval over
    meta-seeds says, with networks averaged.

    **Arguments:** `rows`, one a network; `levels`, training losses at which they were judged, too.

    **Returns:** one entry for each cell: what it is `against`; the difference of each metric with
    its 95 % intervals over networks and over meta-seeds, and the standard deviation over these;
    the ratio of spectral norms; and at each level the differences over networks where both got
    there, and their number.
    """
    cells = by_cell(rows)
    pairs = [(cell, cell.reference()) for cell in cells]
    return [
        _compared(cell, reference, cells, levels)
        for cell, reference in pairs
        if reference is not None and reference in cells
    ]


def compare_with_baseline(
    rows: list[Row], baseline: str, levels: tuple[float, ...] = ()
) -> list[Comparison]:
    """Compares every learned optimizer with a tuned baseline on the same networks.

    **Arguments:** as for `compare_methods`, and `baseline`, the name of it.

    **Returns:** entries like those of `compare_methods`.
    """
    cells = by_cell(rows)
    pairs = [
        (cell, Cell(baseline, None, False, None, cell.optimizee))
        for cell in cells
        if cell.regularizer is not None and cell.control is None
    ]
    return [
        _compared(cell, reference, cells, levels) for cell, reference in pairs if reference in cells
    ]


def _compared(
    cell: Cell,
    reference: Cell,
    cells: dict[Cell, list[Row]],
    levels: tuple[float, ...],
) -> Comparison:
    ours, theirs = cells[cell], cells[reference]
    entry: Any = {**cell._asdict(), "against": reference._asdict()}
    for metric in COMPARED:
        entry[metric] = _difference(_values(ours, metric), _values(theirs, metric))
    norms = [np.median(_values(rows, "spectral_norm")) for rows in (ours, theirs)]
    with np.errstate(divide="ignore", invalid="ignore"):
        entry["spectral_norm_ratio"] = norms[0] / norms[1]
    for level in levels:
        entry[f"at_{level:g}"] = {
            metric: _difference_where_both(
                _values(ours, f"{metric}_at_{level:g}"), _values(theirs, f"{metric}_at_{level:g}")
            )
            for metric in ("test_loss", "test_accuracy")
        }
    return plain(entry)


def _values(rows: list[Row], metric: str) -> Float[np.ndarray, "meta_seeds networks"]:
    """A metric of all networks; baselines have no meta-seeds, and one row."""
    seeds = sorted({row["meta_seed"] for row in rows}, key=lambda seed: seed or 0)
    return np.array(
        [
            [number(metric_of(row, metric)) for row in of_seed]
            for of_seed in ([row for row in rows if row["meta_seed"] == seed] for seed in seeds)
        ]
    )


def _difference(
    ours: Float[np.ndarray, "meta_seeds networks"], theirs: Float[np.ndarray, "_ networks"]
) -> Difference:
    difference = paired_difference(ours.mean(0), theirs.mean(0))
    by_seed = (ours - theirs).mean(1)
    return {
        "difference": difference.mean,
        "interval": difference.interval,
        "interval_over_meta_seeds": paired_difference(by_seed, np.zeros(by_seed.size)).interval,
        "sd_over_meta_seeds": float(np.std(by_seed, ddof=1)) if by_seed.size > 1 else np.nan,
    }


def _difference_where_both(
    ours: Float[np.ndarray, "meta_seeds networks"], theirs: Float[np.ndarray, "_ networks"]
) -> DifferenceAtLevel:
    """The same over networks for which both metrics are there with some meta-seed."""
    differences = ours - theirs
    there = np.isfinite(differences)
    networks = there.any(0)
    count = int(networks.sum())
    if count < 2:
        return {"difference": np.nan, "interval": (np.nan, np.nan), "networks": count}
    means = np.sum(np.where(there, differences, 0), 0)[networks] / there.sum(0)[networks]
    difference = paired_difference(means, np.zeros(count))
    return {"difference": difference.mean, "interval": difference.interval, "networks": count}
