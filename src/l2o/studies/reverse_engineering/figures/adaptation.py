"""Figure 5: the gradients met set the learning rate."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.studies.reverse_engineering.figures.canvas import (
    NEGATIVE,
    PAPER,
    POSITIVE,
    array,
    grid,
    legend,
    note,
    paper_points,
    shown,
    shown_note,
)
from l2o.studies.reverse_engineering.figures.schedule import draw_tuned_rate
from l2o.studies.reverse_engineering.rows import Column


def draw_adaptation(columns: Sequence[Column]) -> Figure:
    """Draws the figure from the entries of `results.json`."""
    figure, (top, middle, bottom) = grid(columns, (2.4, 2.4, 2.8))
    for column, *panels in zip(columns, top, middle, bottom, strict=True):
        _draw_fixed_points(panels[0], column)
        _draw_update_functions(panels[1], column)
        _draw_rates(panels[2], column)
    legend(bottom[0])
    note(
        figure,
        f"Green: positive constant gradients; red: negative ones. {shown_note(columns)}\n"
        "Middle: updates less the update at zero gradient. Bottom: one line a meta-seed and sign; "
        "diamonds: the paper's optimizer (256 units).",
    )
    return figure


def _draw_fixed_points(axes: Axes, column: Column) -> None:
    """Where the state comes to rest under each constant gradient."""
    found = shown(column)["adaptation"]
    gradients, states = array(found["gradients"]), array(found["projected_states"])
    for arm, colour in ((gradients < 0, NEGATIVE), (gradients > 0, POSITIVE)):
        axes.plot(*states[arm].T, ".-", color=colour, linewidth=0.8, markersize=6)
    axes.set_xlabel("component 1")
    axes.set_ylabel("component 2")


def _draw_update_functions(axes: Axes, column: Column) -> None:
    """The update functions at four of these states."""
    arrows = shown(column)["adaptation"]["arrows"]
    sizes = [abs(arrow["gradient"]) for arrow in arrows]
    for arrow in arrows:
        is_large = abs(arrow["gradient"]) == max(sizes)
        axes.plot(
            array(arrow["gradients"]),
            array(arrow["updates_without_offset"]),
            color=POSITIVE if arrow["gradient"] > 0 else NEGATIVE,
            linestyle="--" if is_large else "-",
            linewidth=1.4,
            label=f"g = {arrow['gradient']:.2g}",
        )
    legend(axes)
    axes.set_xlabel("gradient")
    axes.set_ylabel("update less offset")


def _draw_rates(axes: Axes, column: Column) -> None:
    """The effective learning rate against the size of the constant gradient."""
    for found in column["mechanisms"]:
        gradients = array(found["adaptation"]["gradients"])
        rates = array(found["adaptation"]["effective_learning_rate"])
        for arm, colour in ((gradients < 0, NEGATIVE), (gradients > 0, POSITIVE)):
            axes.plot(np.abs(gradients[arm]), rates[arm], color=colour, linewidth=1.2, alpha=0.8)
    draw_tuned_rate(axes, column)
    if column["published"] is not None:
        published = column["published"]
        paper_points(axes, published["adaptation_positive"], POSITIVE)
        paper_points(axes, published["adaptation_negative"], NEGATIVE)
        paper_points(axes, published["adaptation_either"], PAPER)
    axes.set_xscale("log")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("size of the constant gradient")
    axes.set_ylabel("effective learning rate")
