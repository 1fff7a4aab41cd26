"""What every method changes, network by network, against meta-training without it."""

from typing import Any

import numpy as np

from l2o.evaluation import paired_difference
from l2o.recipes.flatness.profiles import PLAIN
from l2o.report.plain import plain

COMPARED = ("train_loss", "test_loss", "test_accuracy", "spectral_norm", "entropy_gap")
"""Metrics whose differences are taken."""


def compare_methods(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compares every method of every architecture with the plain one, on each kind of network.

    Networks with the same seed share their data, initialisation and minibatches. Their difference
    is first averaged over meta-seeds, so that the interval is one over networks; how much
    meta-seeds differ is given beside it.

    **Arguments:** `rows`, one a network.

    **Returns:** one entry for each cell: the difference of each metric with its 95 % interval and
    the standard deviation over meta-seeds, and the ratio of spectral norms.
    """
    cells: dict[tuple[str, str, str], dict[str, np.ndarray]] = {}
    for architecture, method, optimizee in dict.fromkeys(
        (row["architecture"], row["regularizer"], row["optimizee"])
        for row in rows
        if row["regularizer"] is not None
    ):
        own = [
            row
            for row in rows
            if (row["architecture"], row["regularizer"], row["optimizee"])
            == (architecture, method, optimizee)
        ]
        seeds = sorted({row["meta_seed"] for row in own})
        cells[architecture, method, optimizee] = {
            metric: np.array(
                [
                    [_number(row[metric]) for row in own if row["meta_seed"] == seed]
                    for seed in seeds
                ]
            )
            for metric in COMPARED
        }
    comparisons = []
    for (architecture, method, optimizee), values in cells.items():
        plain_values = cells.get((architecture, PLAIN, optimizee))
        if method == PLAIN or plain_values is None:
            continue
        entry: dict[str, Any] = {
            "architecture": architecture,
            "regularizer": method,
            "optimizee": optimizee,
        }
        for metric in COMPARED:
            difference = paired_difference(values[metric].mean(0), plain_values[metric].mean(0))
            by_seed = (values[metric] - plain_values[metric]).mean(1)
            entry[metric] = {
                "difference": difference.mean,
                "interval": difference.interval,
                "sd_over_meta_seeds": np.std(by_seed, ddof=1) if by_seed.size > 1 else np.nan,
            }
        entry["spectral_norm_ratio"] = np.median(values["spectral_norm"]) / np.median(
            plain_values["spectral_norm"]
        )
        comparisons.append(plain(entry))
    return comparisons


def _number(value: float | None) -> float:
    return np.nan if value is None else value
