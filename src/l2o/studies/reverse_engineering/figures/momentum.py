"""Figure 2: linear dynamics near the fixed point are momentum."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.report.drawing import BLUE
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

_ARROW_COLOURS = ("#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#084594")


def draw_momentum(columns: Sequence[Column]) -> Figure:
    """Draws the figure from the entries of `results.json`."""
    figure, (top, middle, bottom) = grid(columns, (2.6, 2.4, 3.0))
    for column, *panels in zip(columns, top, middle, bottom, strict=True):
        _draw_states(panels[0], column)
        _draw_update_functions(panels[1], column)
        _draw_modes(panels[2], column)
    legend(bottom[0], loc="lower left")
    note(
        figure,
        f"{shown_note(columns)}\nTop and middle: five states on the line along which states lie in "
        "the second half of runs.\nBottom: eigenvalues at the fixed point (small), and the "
        "momentum nearest to the whole response, for every meta-seed (large).",
    )
    return figure


def _draw_states(axes: Axes, column: Column) -> None:
    """States on the first two principal components, and how they contract."""
    found = shown(column)
    axes.plot(
        *array(found["state_space"]["projected_states"]).T, ".", color="#BBBBBB", markersize=2
    )
    for arrow, colour in zip(found["momentum"]["arrows"], _ARROW_COLOURS, strict=True):
        axes.plot(*arrow["projected_state"], "o", color=colour, markersize=6)
    axes.plot(*found["momentum"]["projected_resting_state"], "s", color="black", markersize=5)
    axes.set_xlabel("component 1")
    axes.set_ylabel("component 2")
    inset = axes.inset_axes((0.68, 0.68, 0.3, 0.28))
    inset.plot(array(found["state_space"]["variance_by_iteration"]), color="black", linewidth=1)
    inset.set_title("variance", fontsize=7)
    inset.tick_params(labelsize=6)


def _draw_update_functions(axes: Axes, column: Column) -> None:
    """The update functions at the five states."""
    for arrow, colour in zip(shown(column)["momentum"]["arrows"], _ARROW_COLOURS, strict=True):
        axes.plot(array(arrow["gradients"]), array(arrow["updates"]), color=colour, linewidth=1.5)
    if column["published"] is not None:
        offsets = column["published"]["offsets"]
        paper_points(axes, [[0.0, sign * offset] for offset in offsets for sign in (-1, 1)])
    axes.set_xlabel("gradient")
    axes.set_ylabel("update")


def _draw_modes(axes: Axes, column: Column) -> None:
    """Eigenvalues in the complex plane, and the momenta that they add up to."""
    angles = np.linspace(0, 2 * np.pi, 361)
    axes.plot(np.cos(angles), np.sin(angles), color="#999999", linewidth=1)
    real, imaginary = array(shown(column)["momentum"]["eigenvalues"]).T
    axes.plot(real, imaginary, ".", color="#777777", markersize=4, label="eigenvalues")
    for index, found in enumerate(column["mechanisms"]):
        fitted = found["momentum"]["fitted"]
        axes.plot(
            fitted["beta"],
            0,
            "o",
            color=seed_colour(column, found["seed"]),
            markersize=8,
            alpha=0.85,
            label="nearest momentum, one a meta-seed" if index == 0 else None,
        )
    tuned = next((each for each in column["baselines"] if each["name"] == "momentum"), None)
    if tuned is not None:
        beta = tuned["hyperparameters"]["momentum"]
        axes.axvline(beta, color=BLUE, linestyle="--", linewidth=1, label="tuned momentum")
    if column["best_momentum"] is not None:
        beta = column["best_momentum"]["beta"]
        axes.axvline(beta, color=BLUE, linestyle=":", linewidth=1, label="best momentum (Polyak)")
    if column["published"] is not None:
        eigenvalues = column["published"]["dominant_eigenvalues"]
        paper_points(axes, eigenvalues, label=f"largest alphas, {PAPER_LABEL}")
    axes.set_xlim(0, 1.05)
    axes.set_ylim(-0.45, 0.45)
    axes.set_aspect("equal")
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
