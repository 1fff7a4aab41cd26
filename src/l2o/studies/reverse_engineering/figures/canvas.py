"""What the five figures share."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.report.drawing import GREEN, VERMILION, blank_figure, style
from l2o.report.plain import number
from l2o.studies.reverse_engineering.rows import Column, Mechanisms

PAPER = "#000000"
"""The colour of the paper's numbers; their markers are open diamonds."""
PAPER_LABEL = "paper, 256 units, one optimizer"
POSITIVE, NEGATIVE = GREEN, VERMILION
"""The colours of the paper for constant gradients of either sign."""
_SEEDS = ("#D55E00", "#E69F00", "#8C3B00", "#F0A875", "#B8860B")
_WIDTH = 4.1
_LETTERS_AN_INCH = 13


def grid(columns: Sequence[Column], heights: Sequence[float]) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a column of panels for each task.

    **Arguments:** `columns`, entries of `results.json`; `heights`, of the rows, in inches.

    **Returns:** the figure and its axes, row by row.
    """
    figure = blank_figure(_WIDTH * len(columns), sum(heights) + 0.5)
    specification = figure.add_gridspec(len(heights), len(columns), height_ratios=heights)
    rows = [
        [figure.add_subplot(specification[row, column]) for column in range(len(columns))]
        for row in range(len(heights))
    ]
    for row in rows:
        for axes in row:
            style(axes)
    for axes, column in zip(rows[0], columns, strict=True):
        axes.set_title(column["title"], fontsize=10)
    return figure, rows


def seed_colour(column: Column, seed: int) -> str:
    """The colour of one meta-training's optimizer."""
    seeds = [each["seed"] for each in column["mechanisms"]]
    return _SEEDS[seeds.index(seed) % len(_SEEDS)]


def shown(column: Column) -> Mechanisms:
    """The mechanisms of the optimizer that panels for a single one show."""
    return next(each for each in column["mechanisms"] if each["seed"] == column["shown_seed"])


def shown_note(columns: Sequence[Column]) -> str:
    """Which optimizers those are, in words."""
    seeds = ", ".join(f"{column['name']} {column['shown_seed']}" for column in columns)
    return f"Panels of a single optimizer show the meta-seed with the median objective: {seeds}."


def array(values: Sequence[Any]) -> Float[np.ndarray, "..."]:
    """Numbers of `results.json`, with not-a-number for what is missing."""
    return np.array(
        [number(value) for value in values]
        if not values or not isinstance(values[0], list)
        else [array(value) for value in values],
        dtype=float,
    )


def paper_points(
    axes: Axes, points: Sequence[Sequence[float]], colour: str = PAPER, label: str | None = None
) -> None:
    """Numbers of the paper, as open diamonds."""
    if points:
        x, y = array(points).T if isinstance(points[0], list) else np.array(points).T
        axes.plot(
            x,
            y,
            "D",
            markerfacecolor="none",
            markeredgecolor=colour,
            markersize=5,
            linestyle="none",
            label=label,
            zorder=5,
        )


def note(figure: Figure, text: str) -> None:
    """Lines below the figure, as wide as it is."""
    width = int(_LETTERS_AN_INCH * figure.get_figwidth())
    lines = [textwrap.fill(line, width) for line in text.splitlines()]
    figure.supxlabel("\n".join(lines), fontsize=8.5, color="#555555")


def legend(axes: Axes, **options: Any) -> None:
    """A legend without a frame, if there is anything to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, **options)
