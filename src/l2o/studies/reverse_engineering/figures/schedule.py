"""Figure 4: the learning rate changes by itself."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.report.drawing import BLUE, whole_steps
from l2o.studies.reverse_engineering.figures.canvas import (
    PAPER_LABEL,
    array,
    grid,
    legend,
    note,
    paper_points,
    seed_colour,
    shown,
    shown_note,
)
from l2o.studies.reverse_engineering.rows import Column


def draw_schedule(columns: Sequence[Column]) -> Figure:
    """Draws the figure from the entries of `results.json`."""
    figure, (top, bottom) = grid(columns, (2.4, 2.8))
    for column, *panels in zip(columns, top, bottom, strict=True):
        _draw_trajectory(panels[0], column)
        _draw_rates(panels[1], column)
    legend(bottom[0])
    note(
        figure,
        f"Without any gradient. {shown_note(columns)}\nBottom: one line a meta-seed.",
    )
    return figure


def _draw_trajectory(axes: Axes, column: Column) -> None:
    """The state's own way, from the circle to the square."""
    found = shown(column)
    states = array(found["schedule"]["projected_states"])
    axes.plot(*states.T, ".-", color="black", linewidth=1, markersize=3)
    axes.plot(*states[0], "o", color="black", markersize=8, markerfacecolor="white")
    axes.plot(*states[-1], "s", color="black", markersize=7)
    axes.set_xlabel("component 1")
    axes.set_ylabel("component 2")


def _draw_rates(axes: Axes, column: Column) -> None:
    """The effective learning rate against the iteration."""
    for found in column["mechanisms"]:
        rates = array(found["schedule"]["effective_learning_rate"])
        axes.plot(np.arange(rates.size), rates, color=seed_colour(column, found["seed"]), lw=1.6)
    draw_tuned_rate(axes, column)
    if column["published"] is not None:
        paper_points(axes, column["published"]["schedule"], label=PAPER_LABEL)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("iteration")
    whole_steps(axes)
    axes.set_ylabel("effective learning rate")


def draw_tuned_rate(axes: Axes, column: Column) -> None:
    """The learning rate of tuned momentum, ours and the paper's."""
    tuned = next((each for each in column["baselines"] if each["name"] == "momentum"), None)
    if tuned is not None:
        rate = tuned["hyperparameters"]["learning_rate"]
        axes.axhline(rate, color=BLUE, linestyle="--", linewidth=1, label="tuned momentum")
    if column["published"] is not None:
        rate = column["published"]["tuned_learning_rate"]
        axes.axhline(rate, color="black", linestyle=":", linewidth=1, label="the same in the paper")
