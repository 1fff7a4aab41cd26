"""Figures of how flat losses are: slices through them, and the spectra of their Hessians."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from l2o.flatness import LossSurface, SpectralDensity
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

_Drawn = TypeVar("_Drawn", LossSurface, SpectralDensity)

_COLOURS = (VERMILION, BLUE, GREEN, PURPLE, SKY, ORANGE)
_DIRECTION = "in filter norms, along a random direction"


def loss_lines(surfaces: Mapping[str, LossSurface], *, direction: str = _DIRECTION) -> Figure:
    """The loss along a line through the parameters, one colour for each optimizer.

    **Arguments:** `surfaces`, by name, of one direction each, for a single run or with a leading
    axis of runs; `direction`, what the coordinate measures, for the axis.

    **Raises:** `ValueError` if there are none, or they are not lines.
    """
    runs = {name: _runs(name, surface, 1) for name, surface in _some(surfaces).items()}
    figure = blank_figure(6.4, 3.9)
    axes = figure.add_subplot()
    style(axes)
    for index, (name, (coordinates, losses)) in enumerate(runs.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        if len(losses) > 1:
            axes.plot(coordinates, losses.T, color=colour, linewidth=0.6, alpha=0.35, gid=name)
        axes.plot(coordinates, losses.mean(0), color=colour, linewidth=2, label=name, gid=name)
    _logarithmic_if_positive(axes, np.concatenate([losses.ravel() for _, losses in runs.values()]))
    axes.set_xlabel(f"distance from the parameters ({direction})")
    axes.set_ylabel("loss")
    axes.legend(frameon=False, fontsize=8.5)
    counts = " or ".join(map(str, sorted({len(losses) for _, losses in runs.values()})))
    figure.supxlabel(
        f"Thick lines: mean over {counts} run(s); thin lines: each run.",
        fontsize=8.5,
        color="#555555",
    )
    return figure


def loss_planes(surfaces: Mapping[str, LossSurface], *, direction: str = _DIRECTION) -> Figure:
    """The loss on planes through the parameters, a panel each, with one scale of colours.

    **Arguments:** as for `loss_lines`; the surfaces have two directions. Of several runs, the first
    is drawn: a mean of planes would be a plane of no network.

    **Raises:** `ValueError` if there are none, or they are not planes.
    """
    runs = {name: _runs(name, surface, 2) for name, surface in _some(surfaces).items()}
    every = np.concatenate([losses[0].ravel() for _, losses in runs.values()])
    finite = every[np.isfinite(every)]
    if finite.size == 0:
        raise ValueError("There must be a finite loss to draw, got none.")
    low, high = float(finite.min()), float(finite.max())
    high = high if high > low else low + max(abs(low), 1.0) * 1e-6
    norm = (LogNorm if low > 0 else Normalize)(low, high)
    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    figure = blank_figure(3.4 * columns + 1.0, 3.4 * rows + 0.5)
    panels = []
    for index, (name, (coordinates, losses)) in enumerate(runs.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        plane = np.ma.masked_invalid(losses[0].T)
        axes.pcolormesh(coordinates, coordinates, plane, norm=norm, shading="nearest")
        axes.plot(0, 0, "+", color="white", markersize=9)
        axes.set_aspect("equal")
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelsize=9)
        axes.set_xlabel("distance along one direction")
        axes.set_ylabel("along a second one")
        panels.append(axes)
    bar = figure.colorbar(ScalarMappable(norm), ax=panels, label="loss", format="%.3g")
    bar.ax.tick_params(labelsize=9)
    figure.supxlabel(
        f"Colours: the loss of one run each, around its parameters (+), {direction}.",
        fontsize=9,
        color="#555555",
    )
    return figure


def spectral_densities(densities: Mapping[str, SpectralDensity]) -> Figure:
    """The densities of Hessians' eigenvalues, one colour for each optimizer.

    **Arguments:** `densities`, by name, of a single run each.

    **Raises:** `ValueError` if there are none.
    """
    figure = blank_figure(6.4, 3.9)
    axes = figure.add_subplot()
    style(axes)
    highest = 0.0
    for index, (name, density) in enumerate(_some(densities).items()):
        values = np.asarray(density.density)
        highest = max(highest, float(np.nanmax(values)))
        colour = _COLOURS[index % len(_COLOURS)]
        axes.plot(np.asarray(density.grid), values, color=colour, linewidth=1.4, label=name)
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(1e-6 * highest, 3 * highest)
    axes.set_xlabel("eigenvalue of the Hessian (loss per squared unit of a parameter)")
    axes.set_ylabel("density (share of eigenvalues per unit)")
    axes.legend(frameon=False, fontsize=8.5)
    figure.supxlabel(
        "One run each; stochastic Lanczos quadrature, smoothed with a Gaussian.",
        fontsize=8.5,
        color="#555555",
    )
    return figure


def _some(drawn: Mapping[str, _Drawn]) -> Mapping[str, _Drawn]:
    """What is to be drawn, if anything is."""
    if not drawn:
        raise ValueError("There must be something to draw, got nothing.")
    return drawn


def _runs(
    name: str, surface: LossSurface, dimensions: int
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " runs *points"]]:
    """Coordinates, and losses with a leading axis of runs."""
    losses = np.asarray(surface.losses, np.float64)
    if len(surface.directions) != dimensions:
        raise ValueError(
            f"The surface of {name!r} must have {dimensions} direction(s), "
            f"got {len(surface.directions)}."
        )
    coordinates = np.asarray(surface.coordinates)
    coordinates = coordinates.reshape(-1, coordinates.shape[-1])[0]
    return coordinates, losses.reshape(-1, *losses.shape[losses.ndim - dimensions :])


def _logarithmic_if_positive(axes: Axes, values: Float[np.ndarray, " values"]) -> None:
    """A logarithmic scale where all that is drawn has a logarithm."""
    if np.all(values > 0):
        axes.set_yscale("log")
