"""Figures of several objectives: what methods found, next to what can be found."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    blank_figure,
    style,
)

_COLOURS = (VERMILION, BLUE, GREEN, PURPLE, SKY, ORANGE)
_MARKERS = ("o", "s", "^", "D", "v", "P")
_KNOWN = "#555555"
# A front is drawn in pieces where neighbours are this many times farther apart than usual.
_GAP = 10


def front_and_found(
    front: Float[np.ndarray, "front 2"],
    found: Mapping[str, Float[np.ndarray, "runs 2"]],
    *,
    axis_names: tuple[str, str] = ("first loss", "second loss"),
) -> Figure:
    """The losses at the ends of runs, one colour for each method, and the known Pareto front.

    **Arguments:** `front`, points of the front, as `Problem.front` gives them; `found`, losses at
    the end of every run, by method; `axis_names`, of both losses.

    **Raises:** `ValueError` if nothing was found, or there are not two losses.
    """
    line = _of_two("The front", front, dimensions=2)
    points = {
        name: _of_two(f"What {name!r} found", losses, dimensions=2)
        for name, losses in _some(found).items()
    }
    figure, axes = _plane(axis_names)
    axes.plot(*_in_pieces(line).T, color=_KNOWN, linewidth=1.6, label="Pareto front", zorder=1)
    for index, (name, losses) in enumerate(points.items()):
        is_finite = np.all(np.isfinite(losses), axis=1)
        axes.plot(
            *losses[is_finite].T,
            _MARKERS[index % len(_MARKERS)],
            color=_COLOURS[index % len(_COLOURS)],
            markersize=5,
            alpha=0.8,
            label=_with_diverged(name, is_finite),
        )
    _finish(figure, axes, f"Points: the end of each of {_counts(points)} run(s).")
    return figure


def paths_and_critical_set(
    critical_set: Float[np.ndarray, "points 2"],
    paths: Mapping[str, Float[np.ndarray, "runs steps 2"]],
    *,
    axis_names: tuple[str, str] = ("first parameter", "second parameter"),
) -> Figure:
    """The ways of runs through a plane of two parameters, and the Pareto-critical set.

    **Arguments:** `critical_set`, points of it, in any order; `paths`, the parameters at every
    step of every run, by method; `axis_names`, of both parameters.

    **Raises:** `ValueError` if there are no paths, or there are not two parameters.
    """
    critical = _of_two("The critical set", critical_set, dimensions=2)
    ways = {
        name: _of_two(f"What {name!r} went through", params, dimensions=3)
        for name, params in _some(paths).items()
    }
    figure, axes = _plane(axis_names)
    axes.plot(*critical.T, ".", color=_KNOWN, markersize=3, label="Pareto-critical", zorder=1)
    for index, (name, params) in enumerate(ways.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        axes.plot(*params.T, color=colour, linewidth=1.2, alpha=0.8)
        axes.plot(*params[:, 0].T, "o", color=colour, markersize=5, markerfacecolor="white")
        is_finite = np.all(np.isfinite(params), axis=(1, 2))
        axes.plot(
            *params[:, -1].T,
            _MARKERS[index % len(_MARKERS)],
            color=colour,
            markersize=6,
            label=_with_diverged(name, is_finite),
        )
    _finish(
        figure, axes, f"Lines: {_counts(ways)} run(s), from their starts (white) to their ends."
    )
    return figure


def _plane(axis_names: tuple[str, str]) -> tuple[Figure, Axes]:
    figure = blank_figure(6.4, 4.6)
    axes = figure.add_subplot()
    style(axes)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    return figure, axes


def _finish(figure: Figure, axes: Axes, caption: str) -> None:
    axes.legend(frameon=False, fontsize=8.5)
    figure.supxlabel(caption, fontsize=8.5, color="#555555")


def _in_pieces(front: Float[np.ndarray, "front 2"]) -> Float[np.ndarray, "drawn 2"]:
    """The front in the order of the first loss, with NaN where no line is to be drawn."""
    ordered = front[np.argsort(front[:, 0], kind="stable")]
    extent = np.ptp(ordered, axis=0)
    steps = np.diff(ordered, axis=0) / np.where(extent > 0, extent, 1.0)
    distances = np.linalg.norm(steps, axis=1)
    if len(distances) == 0:
        return ordered
    gaps = np.flatnonzero(distances > _GAP * np.median(distances)) + 1
    return np.insert(ordered, gaps, np.nan, axis=0)


def _with_diverged(name: str, is_finite: np.ndarray) -> str:
    """The method's name, and how many of its runs are not drawn, or not to their end."""
    diverged = int(np.sum(~is_finite))
    return f"{name} ({diverged} of {len(is_finite)} diverged)" if diverged else name


def _counts(drawn: Mapping[str, np.ndarray]) -> str:
    return " or ".join(map(str, sorted({len(each) for each in drawn.values()})))


def _of_two(what: str, values: np.ndarray, dimensions: int) -> np.ndarray:
    """The values, if they are at least one point, or path, of a plane."""
    values = np.asarray(values, np.float64)
    if values.ndim != dimensions or values.shape[-1] != 2 or values.size == 0:
        shape = "(points, 2)" if dimensions == 2 else "(runs, steps, 2)"
        raise ValueError(f"{what} must have the shape {shape}, got {values.shape}.")
    return values


def _some(drawn: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    if not drawn:
        raise ValueError("There must be something to draw, got nothing.")
    return drawn
