"""The page about the results."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from l2o.recipes.flatness.profiles import PLAIN

_SHOWN = ("train_loss", "test_loss", "test_accuracy", "spectral_norm", "entropy_gap")
_LABELS = {
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
    "test_accuracy": "test accuracy",
    "spectral_norm": "spectral norm of the Hessian",
    "entropy_gap": "entropy gap",
}


def write_page(results: dict[str, Any], out: Path) -> Path:
    """Writes a page that stands by itself, and its figure into `figures/` beside it.

    **Arguments:** `results`, what `results.json` holds; `out`, the folder.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    from l2o.deploy.atomic import write_atomically
    from l2o.report.drawing import as_png, as_svg
    from l2o.report.pages import render_page

    figure = draw_differences(results)
    write_atomically(out / "figures" / "differences.png", as_png(figure, dpi=110))
    page = render_page(
        "page.html.jinja",
        package="l2o.recipes.flatness",
        results=results,
        labels=_LABELS,
        tables=[
            {"optimizee": optimizee, "rows": summary_rows(results, optimizee)}
            for optimizee in dict.fromkeys(row["optimizee"] for row in results["rows"])
        ],
        image=as_svg(figure),
        verdicts=verdicts(results),
    )
    path = out / "report.html"
    write_atomically(path, page)
    return path


def summary_rows(results: dict[str, Any], optimizee: str) -> list[dict[str, Any]]:
    """Means and standard errors over networks, meta-seeds averaged, of every optimizer."""
    rows = [row for row in results["rows"] if row["optimizee"] == optimizee]
    summaries = []
    for architecture, method in dict.fromkeys(
        (row["architecture"], row["regularizer"]) for row in rows
    ):
        own = [
            row
            for row in rows
            if (row["architecture"], row["regularizer"]) == (architecture, method)
        ]
        seeds = sorted({row["seed"] for row in own})
        texts = {}
        for metric in _SHOWN:
            values = np.array(
                [
                    np.mean(
                        [
                            np.nan if row[metric] is None else row[metric]
                            for row in own
                            if row["seed"] == seed
                        ]
                    )
                    for seed in seeds
                ]
            )
            mean, sem = np.mean(values), np.std(values, ddof=1) / np.sqrt(values.size)
            scale, unit = (100, " %") if metric == "test_accuracy" else (1, "")
            texts[metric] = f"{scale * mean:.3g} ± {scale * sem:.2g}{unit}"
        title = "tuned baseline" if method is None else results["titles"][method]
        summaries.append({"architecture": architecture, "method": title, **texts})
    return summaries


def verdicts(results: dict[str, Any]) -> list[str]:
    """What follows from the differences, a sentence for each method."""
    sentences = []
    for method, title in results["titles"].items():
        cells = [each for each in results["comparisons"] if each["regularizer"] == method]
        if method == PLAIN or not cells:
            continue
        better = [each for each in cells if _above_zero(each["test_accuracy"]["interval"])]
        worse = [each for each in cells if _below_zero(each["test_accuracy"]["interval"])]
        loss_better = [each for each in cells if _below_zero(each["test_loss"]["interval"])]
        loss_worse = [each for each in cells if _above_zero(each["test_loss"]["interval"])]
        mean = np.mean([100 * (each["test_accuracy"]["difference"] or np.nan) for each in cells])
        ratios = [each["spectral_norm_ratio"] for each in cells if each["spectral_norm_ratio"]]
        sentences.append(
            f"{title[0].upper()}{title[1:]}: test accuracy is higher in {len(better)} and lower "
            f"in {len(worse)} of {len(cells)} cells (95 % interval of the paired difference off "
            f"zero), by {mean:+.2f} points on average; test loss is lower in {len(loss_better)} "
            f"and higher in {len(loss_worse)}. The spectral norm is {np.median(ratios):.2g} times "
            "that without it (median over cells)."
        )
    return sentences


def draw_differences(results: dict[str, Any]) -> Figure:
    """Draws the change of test accuracy and of test loss by every method, in every cell."""
    from l2o.report.drawing import BLUE, GREEN, VERMILION, blank_figure, style

    comparisons = results["comparisons"]
    methods = [name for name in results["titles"] if name != PLAIN]
    architectures = list(dict.fromkeys(each["architecture"] for each in comparisons))
    colours = dict(zip(architectures, (VERMILION, BLUE, GREEN), strict=False))
    figure = blank_figure(11.0, 1.6 + 0.55 * len(methods))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, scale in zip(panels, ("test_accuracy", "test_loss"), (100, 1), strict=True):
        style(axes)
        axes.axvline(0, color="#555555", linewidth=1)
        for row, method in enumerate(methods):
            cells = [each for each in comparisons if each["regularizer"] == method]
            for place, each in enumerate(cells):
                height = row + 0.7 * ((place + 0.5) / len(cells) - 0.5)
                low, high = (scale * _number(end) for end in each[metric]["interval"])
                colour = colours[each["architecture"]]
                axes.plot([low, high], [height, height], color=colour, linewidth=1.4)
                axes.plot(
                    scale * _number(each[metric]["difference"]), height, "o", color=colour, ms=4
                )
        axes.set_yticks(range(len(methods)), [results["titles"][name] for name in methods])
    panels[0].invert_yaxis()
    # Networks that diverge must not squeeze the others into a line.
    panels[1].set_xscale("symlog", linthresh=0.1)
    panels[0].set_xlabel("change of test accuracy (percentage points)")
    panels[1].set_xlabel("change of test loss (nats)")
    for architecture, colour in colours.items():
        panels[1].plot([], [], "o-", color=colour, label=architecture)
    panels[1].legend(frameon=False, fontsize=8)
    settings = results["settings"]
    figure.supxlabel(
        "Against meta-training without it: dots, means over "
        f"{settings['num_seeds']} networks with {len(settings['meta_seeds'])} meta-seeds averaged; "
        "lines, 95 % intervals over networks. One dot a kind of network.",
        fontsize=8.5,
        color="#555555",
    )
    return figure


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _above_zero(interval: list[float | None]) -> bool:
    return interval[0] is not None and interval[0] > 0


def _below_zero(interval: list[float | None]) -> bool:
    return interval[1] is not None and interval[1] < 0
