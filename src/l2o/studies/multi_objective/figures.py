"""The figures about the results."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.report.drawing import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    blank_figure,
    style,
    whole_steps,
)
from l2o.report.plain import number
from l2o.studies.multi_objective.rows import LEARNED, Method, OnProblem, OverProblems, Results

_COLOURS = {
    "GML2O": VERMILION,
    "GML2O at intervals": BLACK,
    "ML2O": ORANGE,
    "plain ML2O": PURPLE,
    "UPGrad": BLUE,
    "mean": GREEN,
    "steepest descent, Armijo": SKY,
}
_OTHER = "#BBBBBB"

_Entry = TypeVar("_Entry", Method, OnProblem, OverProblems)


def draw_criticality(results: Results) -> Figure:
    """Relative criticality over iterations, one panel a problem."""
    problems = list(dict.fromkeys(entry["problem"] for entry in results["problems"]))
    columns = min(4, len(problems))
    rows = -(-len(problems) // columns)
    figure = blank_figure(max(6.4, 3.0 * columns), 2.4 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, problem in zip(grid.flat, problems, strict=False):
        style(axes)
        own = [entry for entry in results["problems"] if entry["problem"] == problem]
        for entry in _in_order(own):
            levels = 10 ** np.array(entry["mean_log10_criticality"])
            _line(axes, np.arange(levels.size), levels, entry["method"])
        axes.set_title(problem, fontsize=10)
        axes.set_yscale("log")
        axes.set_xlabel("iteration")
        whole_steps(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("relative criticality")
    for axes in grid.flat[len(problems) :]:
        axes.axis("off")
    _legend(figure, grid.flat[0], "grey: other aggregators")
    starts = results["settings"]["problems"]["num_starts"]
    figure.supxlabel(f"geometric mean over {starts} starts", fontsize=9)
    return figure


def draw_profiles(results: Results) -> Figure:
    """Performance profiles over problems and starts."""
    figure = blank_figure(6.4, 3.8)
    axes = figure.subplots()
    style(axes)
    for entry in _in_order(results["problem_comparison"]):
        profile = entry["profile"]
        _line(axes, np.array(profile["ratios"]), np.array(profile["shares"]), entry["method"])
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("iterations over those of the fastest method from the same start")
    axes.set_ylabel("share of runs at relative criticality 0.01")
    _legend(figure, axes, "grey: other aggregators")
    return figure


def draw_losses(results: Results) -> Figure:
    """Relative losses over steps, one panel a family of networks."""
    families = list(dict.fromkeys(each["family"] for each in results["methods"]))
    figure = blank_figure(max(6.4, 5.2 * len(families)), 4.1)
    grid = figure.subplots(1, len(families), squeeze=False)[0]
    for axes, family in zip(grid, families, strict=True):
        style(axes)
        own = [
            each
            for each in results["methods"]
            if each["family"] == family and each["from"] in (None, family)
        ]
        for entry in _in_order(own):
            curve = np.array([number(each) for each in entry["curve"]])
            _line(axes, np.arange(curve.size), curve, entry["method"])
        axes.set_title(family, fontsize=10)
        axes.set_yscale("log")
        axes.set_xlabel("step")
        whole_steps(axes)
        axes.set_ylabel("training loss over its first value")
    _legend(figure, grid[0], "grey: other aggregators with tuned Adam")
    networks = results["settings"]["networks"]
    figure.supxlabel(
        f"mean over targets and {networks['num_seeds']} networks, minibatch losses; one line a "
        f"meta-seed ({len(networks['meta_seeds'])})",
        fontsize=9,
    )
    return figure


def _in_order(entries: Sequence[_Entry]) -> list[_Entry]:
    """The entries of one panel, those to be seen last."""
    return sorted(
        entries, key=lambda entry: (entry["method"] in _COLOURS, entry["method"] in LEARNED)
    )


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, method: str) -> None:
    is_named = method in _COLOURS
    known = axes.get_legend_handles_labels()[1]
    axes.plot(
        x,
        y,
        color=_COLOURS.get(method, _OTHER),
        linewidth=1.8 if is_named else 0.8,
        label=method if is_named and method not in known else None,
    )


def _legend(figure: Figure, axes: Axes, others: str) -> None:
    handles, labels = axes.get_legend_handles_labels()
    handles.append(axes.plot([], [], color=_OTHER, linewidth=0.8)[0])
    figure.legend(
        handles, [*labels, others], loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
