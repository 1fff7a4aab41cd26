"""Figure 3: large gradients give no larger updates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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


def draw_clipping(columns: Sequence[Column]) -> Figure:
    """Draws the figure from the entries of `results.json`."""
    figure, (top, bottom) = grid(columns, (2.8, 2.0))
    for column, *panels in zip(columns, top, bottom, strict=True):
        _draw_update_functions(panels[0], column)
        _draw_density(panels[1], column)
    legend(top[0])
    note(
        figure,
        f"Top: the update at the initial state, one line a meta-seed. {shown_note(columns)}\n"
        "Bottom: density of the gradients met on the task; dotted: where updates are half their "
        "largest.",
    )
    return figure


def _draw_update_functions(axes: Axes, column: Column) -> None:
    """The update functions at the initial state."""
    for found in column["mechanisms"]:
        clipped = found["clipping"]
        axes.plot(
            array(clipped["gradients"]),
            array(clipped["updates"]),
            color=seed_colour(column, found["seed"]),
            linewidth=1.6,
        )
    edge = column["mechanisms"][0]["clipping"]["gradients"][-1]
    if column["published"] is not None:
        published = column["published"]
        points = [
            [sign * gradient, -sign * size]
            for gradient, size in published["updates"]
            for sign in (-1, 1)
        ]
        if published["plateau"] is not None:
            points += [[-edge, published["plateau"][0]], [edge, published["plateau"][1]]]
        paper_points(axes, points, label=PAPER_LABEL)
    axes.set_xlabel("gradient")
    axes.set_ylabel("update")


def _draw_density(axes: Axes, column: Column) -> None:
    """How often gradients of each size are met."""
    clipped = shown(column)["clipping"]
    edges, density = array(clipped["density"]["edges"]), array(clipped["density"]["density"])
    axes.stairs(np.maximum(density, 1e-12), edges, color="#555555", fill=True, alpha=0.5)
    axes.set_yscale("log")
    if np.any(density > 0):
        axes.set_ylim(bottom=0.5 * np.min(density[density > 0]))
    if clipped["half_height"] is not None:
        for sign in (-1, 1):
            if clipped["half_height"] < edges[-1]:
                axes.axvline(sign * clipped["half_height"], color="black", linestyle=":")
    axes.set_xlabel("gradient")
    axes.set_ylabel("density")
