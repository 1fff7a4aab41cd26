"""The page about the results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from l2o.studies.flatness.comparison import Cell
from l2o.studies.flatness.pictures import draw_all
from l2o.studies.flatness.profiles import PLAIN
from l2o.studies.flatness.titles import method_title

_LABELS = {
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
    "test_accuracy": "test accuracy",
    "spectral_norm": "spectral norm of the Hessian",
    "entropy_gap": "entropy gap",
}


def write_page(results: dict[str, Any], out: Path) -> Path:
    """Writes a page that stands by itself, and its figures into `figures/` beside it.

    **Arguments:** `results`, what `results.json` holds; `out`, the folder.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    from l2o.report.drawing import as_png, as_svg
    from l2o.report.pages import render_page
    from l2o.support.atomic import write_atomically

    figures = draw_all(results)
    for name, figure in figures.items():
        write_atomically(out / "figures" / f"{name}.png", as_png(figure, dpi=110))
    page = render_page(
        "page.html.jinja",
        package="l2o.studies.flatness",
        results=results,
        labels=_LABELS,
        tables=[
            {
                "optimizee": optimizee,
                "rows": summary_rows(results, optimizee),
                "matched": matched_rows(results, optimizee),
            }
            for optimizee in dict.fromkeys(row["optimizee"] for row in results["rows"])
        ],
        images={name: as_svg(figure) for name, figure in figures.items()},
        verdicts=verdicts(results),
    )
    path = out / "report.html"
    write_atomically(path, page)
    return path


def summary_rows(results: dict[str, Any], optimizee: str) -> list[dict[str, Any]]:
    """Means and standard errors over networks, meta-seeds averaged, of every optimizer."""
    cells: dict[Cell, list[dict[str, Any]]] = {}
    for row in results["rows"]:
        if row["optimizee"] == optimizee:
            cells.setdefault(Cell(*(row[name] for name in Cell._fields)), []).append(row)
    return [
        {
            "architecture": cell.architecture,
            "method": method_title(results, cell._asdict()),
            **{metric: _mean_text(rows, metric) for metric in _LABELS},
        }
        for cell, rows in cells.items()
    ]


def _mean_text(rows: list[dict[str, Any]], metric: str) -> str:
    by_seed: dict[int, list[float]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(_number(row[metric]))
    values = np.array([np.mean(each) for each in by_seed.values()])
    mean, sem = np.mean(values), np.std(values, ddof=1) / np.sqrt(values.size)
    scale, unit = (100, " %") if metric == "test_accuracy" else (1, "")
    return f"{scale * mean:.3g} ± {scale * sem:.2g}{unit}"


def matched_rows(results: dict[str, Any], optimizee: str) -> list[dict[str, Any]]:
    """Differences from the reference where training losses first are below the common levels."""
    rows = []
    for entry in results["comparisons"]:
        if entry["optimizee"] != optimizee:
            continue
        row = {
            "architecture": entry["architecture"],
            "method": method_title(results, entry),
            "against": method_title(results, entry["against"]),
            "levels": [],
        }
        for level in results["settings"]["levels"]:
            found = entry[f"at_{level:g}"]
            row["levels"].append(
                {
                    "accuracy": _interval_text(found["test_accuracy"], 100, " points"),
                    "loss": _interval_text(found["test_loss"], 1, ""),
                    "networks": found["test_accuracy"]["networks"],
                }
            )
        rows.append(row)
    return rows


def _interval_text(found: dict[str, Any], scale: float, unit: str) -> str:
    if found["difference"] is None:
        return "none"
    low, high = (scale * _number(end) for end in found["interval"])
    return f"{scale * found['difference']:+.2g} ({low:.2g}, {high:.2g}){unit}"


def verdicts(results: dict[str, Any]) -> list[str]:
    """What follows from the differences, a sentence for each method."""
    comparisons = results["comparisons"]
    sentences = []
    for method, title in results["titles"].items():
        if method == PLAIN:
            continue
        sentences += _verdict(
            title, comparisons, lambda each, own=method: _kind(each) == (own, False, None)
        )
        sentences += _verdict(
            f"{title}, both with enhanced training",
            comparisons,
            lambda each, own=method: _kind(each) == (own, True, None),
        )
    sentences += _verdict(
        "enhanced training alone", comparisons, lambda each: _kind(each) == (PLAIN, True, None)
    )
    for control, title in results["control_titles"].items():
        for whose, regularizer in (("learned optimizer", PLAIN), ("tuned baselines", None)):
            sentences += _verdict(
                f"{title} in the networks, {whose}",
                comparisons,
                lambda each, kind=(regularizer, False, control): _kind(each) == kind,
            )
    against: dict[str, list[dict[str, Any]]] = {}
    for entry in results["against_baselines"]:
        against.setdefault(entry["against"]["architecture"], []).append(entry)
    for baseline, entries in against.items():
        better, worse, count = _signs(entries, "test_accuracy")
        sentences.append(
            f"Of {count} cells of learned optimizers, test accuracy is above that of {baseline}, "
            f"tuned, in {better} and below in {worse}."
        )
    return sentences


def _kind(entry: dict[str, Any]) -> tuple[str | None, bool, str | None]:
    return entry["regularizer"], entry["enhanced"], entry["control"]


def _verdict(
    title: str, comparisons: list[dict[str, Any]], belongs: Callable[[dict[str, Any]], bool]
) -> list[str]:
    """A sentence about some of the comparisons, if there are any."""
    cells = [each for each in comparisons if belongs(each)]
    if not cells:
        return []
    better, worse, count = _signs(cells, "test_accuracy")
    loss_worse, loss_better, _ = _signs(cells, "test_loss")
    changes = [100 * _number(each["test_accuracy"]["difference"]) for each in cells]
    finite = [change for change in changes if np.isfinite(change)]
    mean = f"by {np.mean(finite):+.2f} points on average" if finite else "by nothing finite"
    ratios = [each["spectral_norm_ratio"] for each in cells if each["spectral_norm_ratio"]]
    norm = (
        f" The spectral norm is {np.median(ratios):.2g} times that without it (median over cells)."
        if ratios
        else ""
    )
    return [
        f"{title[0].upper()}{title[1:]}: test accuracy is higher in {better} and lower in {worse} "
        f"of {count} cells (95 % interval of the paired difference off zero), {mean}; test loss "
        f"is lower in {loss_better} and higher in {loss_worse}.{norm}{_over_meta_seeds(cells)}"
    ]


def _over_meta_seeds(cells: list[dict[str, Any]]) -> str:
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
    cells: list[dict[str, Any]], metric: str, interval: str = "interval"
) -> tuple[int, int, int]:
    """In how many cells a difference is surely above zero, and below, and how many there are."""
    intervals = [each[metric][interval] for each in cells]
    above = sum(low is not None and low > 0 for low, _ in intervals)
    below = sum(high is not None and high < 0 for _, high in intervals)
    return above, below, len(cells)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
