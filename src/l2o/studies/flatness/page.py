"""The page about the results."""

from pathlib import Path
from typing import Literal, TypedDict

import numpy as np

from l2o.report.plain import number
from l2o.studies.flatness.pictures import draw_all
from l2o.studies.flatness.profiles import PLAIN
from l2o.studies.flatness.rows import (
    Compared,
    Comparison,
    Difference,
    DifferenceAtLevel,
    Results,
    Row,
    at_level,
    by_cell,
    metric_of,
)
from l2o.studies.flatness.titles import method_title
from l2o.studies.pages import write_study

_LABELS: dict[Compared, str] = {
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
    "test_accuracy": "test accuracy",
    "spectral_norm": "spectral norm of the Hessian",
    "entropy_gap": "entropy gap",
}


_Kind = tuple[str | None, bool, str | None]
"""Cells that differ in architecture and networks alone: the regularizer, whether by enhanced
training, and the control."""


class _Matched(TypedDict):
    """A row of the second table of a kind of networks."""

    architecture: str
    method: str
    against: str
    levels: list[tuple[str, str, int]]
    """The accuracy, the test loss, and over how many networks."""


def write_page(results: Results, out: Path) -> Path:
    """Writes a page that stands by itself, and its figures into `figures/` beside it.

    **Arguments:** `results`, what `results.json` holds; `out`, the folder.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    return write_study(
        out,
        results,
        package="l2o.studies.flatness",
        figures=draw_all(results),
        labels=_LABELS,
        tables=[
            {
                "optimizee": optimizee,
                "rows": summary_rows(results, optimizee),
                "matched": matched_rows(results, optimizee),
            }
            for optimizee in dict.fromkeys(row["optimizee"] for row in results["rows"])
        ],
        level_heads=[
            head
            for level in results["settings"]["levels"]
            for head in (f"accuracy at {level}", f"test loss at {level}", "networks")
        ],
        verdicts=[("", sentence) for sentence in verdicts(results)],
        settings=results["settings"],
    )


def summary_rows(results: Results, optimizee: str) -> list[tuple[str, str, list[str]]]:
    """Every optimizer's name, method, and mean and standard error of each metric.

    They are over networks, with meta-seeds averaged.
    """
    cells = by_cell([row for row in results["rows"] if row["optimizee"] == optimizee])
    return [
        (
            cell.architecture,
            method_title(results, rows[0]),
            [_mean_text(rows, metric) for metric in _LABELS],
        )
        for cell, rows in cells.items()
    ]


def _mean_text(rows: list[Row], metric: str) -> str:
    by_seed: dict[int, list[float]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(number(metric_of(row, metric)))
    values = np.array([np.mean(each) for each in by_seed.values()])
    mean, sem = np.mean(values), np.std(values, ddof=1) / np.sqrt(values.size)
    scale, unit = (100, " %") if metric == "test_accuracy" else (1, "")
    return f"{scale * mean:.3g} ± {scale * sem:.2g}{unit}"


def matched_rows(results: Results, optimizee: str) -> list[_Matched]:
    """Differences from the reference where training losses first are below the common levels."""

    def of_level(entry: Comparison, level: float) -> tuple[str, str, int]:
        differences = at_level(entry, level)
        accuracy, loss = differences["test_accuracy"], differences["test_loss"]
        return (
            _interval_text(accuracy, 100, " points"),
            _interval_text(loss, 1, ""),
            accuracy["networks"],
        )

    return [
        {
            "architecture": entry["architecture"],
            "method": method_title(results, entry),
            "against": method_title(results, entry["against"]),
            "levels": [of_level(entry, level) for level in results["settings"]["levels"]],
        }
        for entry in results["comparisons"]
        if entry["optimizee"] == optimizee
    ]


def _interval_text(found: Difference | DifferenceAtLevel, scale: float, unit: str) -> str:
    if found["difference"] is None:
        return "none"
    low, high = (scale * number(end) for end in found["interval"])
    return f"{scale * found['difference']:+.2g} ({low:.2g}, {high:.2g}){unit}"


def verdicts(results: Results) -> list[str]:
    """What follows from the differences, a sentence for each method."""
    kinds: list[tuple[str, _Kind]] = []
    for method, title in results["titles"].items():
        if method != PLAIN:
            kinds.append((title, (method, False, None)))
            kinds.append((f"{title}, both with enhanced training", (method, True, None)))
    kinds.append(("enhanced training alone", (PLAIN, True, None)))
    for control, title in results["control_titles"].items():
        for whose, regularizer in (("learned optimizer", PLAIN), ("tuned baselines", None)):
            kinds.append((f"{title} in the networks, {whose}", (regularizer, False, control)))
    by_kind: dict[_Kind, list[Comparison]] = {}
    for entry in results["comparisons"]:
        kind = entry["regularizer"], entry["enhanced"], entry["control"]
        by_kind.setdefault(kind, []).append(entry)
    sentences = [_verdict(title, by_kind[kind]) for title, kind in kinds if kind in by_kind]
    against: dict[str, list[Comparison]] = {}
    for entry in results["against_baselines"]:
        against.setdefault(entry["against"]["architecture"], []).append(entry)
    for baseline, entries in against.items():
        better, worse, count = _signs(entries, "test_accuracy")
        sentences.append(
            f"Of {count} cells of learned optimizers, test accuracy is above that of {baseline}, "
            f"tuned, in {better} and below in {worse}."
        )
    return sentences


def _verdict(title: str, cells: list[Comparison]) -> str:
    """A sentence about some of the comparisons."""
    better, worse, count = _signs(cells, "test_accuracy")
    loss_worse, loss_better, _ = _signs(cells, "test_loss")
    changes = [100 * number(each["test_accuracy"]["difference"]) for each in cells]
    finite = [change for change in changes if np.isfinite(change)]
    mean = f"by {np.mean(finite):+.2f} points on average" if finite else "by nothing finite"
    ratios = [each["spectral_norm_ratio"] for each in cells if each["spectral_norm_ratio"]]
    norm = (
        f" The spectral norm is {np.median(ratios):.2g} times that without it (median over cells)."
        if ratios
        else ""
    )
    return (
        f"{title[0].upper()}{title[1:]}: test accuracy is higher in {better} and lower in {worse} "
        f"of {count} cells (95 % interval of the paired difference off zero), {mean}; test loss "
        f"is lower in {loss_better} and higher in {loss_worse}.{norm}{_over_meta_seeds(cells)}"
    )


def _over_meta_seeds(cells: list[Comparison]) -> str:
    """In how many cells accuracies differ surely with the meta-seed as the unit."""
    name = "interval_over_meta_seeds"
    if all(each["test_accuracy"][name][0] is None for each in cells):
        return ""
    better, worse, count = _signs(cells, "test_accuracy", name)
    return (
        f" That is over networks of these meta-trainings; with the meta-seed as the unit accuracy "
        f"is higher in {better} and lower in {worse} of {count}."
    )


def _signs(
    cells: list[Comparison],
    metric: Compared,
    interval: Literal["interval", "interval_over_meta_seeds"] = "interval",
) -> tuple[int, int, int]:
    """In how many cells a difference is surely above zero, and below, and how many there are."""
    intervals = [each[metric][interval] for each in cells]
    above = sum(low is not None and low > 0 for low, _ in intervals)
    below = sum(high is not None and high < 0 for _, high in intervals)
    return above, below, len(cells)
