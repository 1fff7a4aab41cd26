"""What Maheswaranathan et al. (2021) report, as far as it could be read.

All of it is about optimizers with 256 units. The numbers labelled *figure* are read off the images
of figures 1 to 5 in the first version of the paper (arXiv 2011.02159v1), good to about one per
cent, unless it says so worse. Nothing here is from the second version, whose figures, the MNIST
column among them, could not be read.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

Points = tuple[tuple[float, float], ...]
"""Pairs of x and y."""


@dataclass(frozen=True)
class Published:
    """The paper's numbers about one task. What could not be read is `None` or empty."""

    tuned_learning_rate: float
    """Figures 4 and 5, dashed line: the tuned learning rate of momentum."""
    log10_losses: dict[str, Points]
    """Figure 1, bottom: iteration and base-10 logarithm of the mean loss, by optimizer."""
    losses_note: str
    """How well `log10_losses` could be read."""
    dominant_eigenvalues: tuple[complex, ...]
    """Figure 2, bottom: eigenvalues with the largest alpha, largest first."""
    offsets: tuple[float, float]
    """Figure 2, middle: update at zero gradient of the outer and of the inner arrows, plus or
    minus."""
    updates: Points
    """Figure 3, top: gradient and size of the update at the initial state."""
    initial_learning_rate: float | None
    """Figure 3, top: minus the slope of the update function at zero gradient."""
    half_height: tuple[float, float] | None
    """Figure 3, top: between which gradients the update is half its plateau."""
    plateau: tuple[float, float] | None
    """Figure 3, top: the update far to the left and far to the right."""
    schedule: Points
    """Figure 4, bottom: iteration and effective learning rate."""
    adaptation_positive: Points
    """Figure 5, bottom, green: positive gradient and effective learning rate."""
    adaptation_negative: Points
    """Figure 5, bottom, red: size of a negative gradient and effective learning rate."""
    adaptation_either: Points
    """Figure 5, bottom: points of which it could not be told which arm they belong to."""

    def as_dict(self) -> dict[str, Any]:
        """The numbers, for JSON; eigenvalues as real and imaginary parts."""
        eigenvalues = [[number.real, number.imag] for number in self.dominant_eigenvalues]
        return asdict(self) | {"dominant_eigenvalues": eigenvalues}


# The gradients of figure 5 are inferred from the spacing of its markers.
def _grid(low: float, high: float, number: int) -> tuple[float, ...]:
    """Numbers between two powers of ten, evenly spaced in the logarithm."""
    return tuple(10 ** (low + (high - low) * index / (number - 1)) for index in range(number))


def _beside(gradients: tuple[float, ...], rates: tuple[float, ...]) -> Points:
    return tuple(zip(gradients, rates, strict=True))


def _log10(*points: tuple[float, float]) -> Points:
    return tuple((step, math.log10(loss)) for step, loss in points)


LINEAR_REGRESSION = Published(
    tuned_learning_rate=3.765,
    log10_losses={
        "learned": ((20, 1.34), (50, -0.55), (100, -2.99), (199, -4.03)),
        "momentum": ((20, 1.87), (50, 0.45), (100, -2.08), (153, -5.0)),
        "adam": ((100, 0.68), (199, -0.10)),
        "rmsprop": ((100, 2.03), (199, 1.64)),
    },
    losses_note="Read off the figure with three decades between its tick labels, which are "
    "inconsistent as printed; this reading agrees with simulated momentum to half a decade.",
    dominant_eigenvalues=(0.922, 0.89),
    offsets=(3.1, 1.5),
    updates=((4.9, 15.8),),
    initial_learning_rate=5.8,
    half_height=None,
    plateau=None,
    schedule=(
        # Read as 5.5 to 5.9.
        (0, 5.7),
        (5, 8.0),
        (10, 10.0),
        (15, 11.3),
        (23, 11.94),
        (30, 11.6),
        (50, 9.95),
        (75, 7.8),
        (100, 5.65),
        (125, 4.2),
        (150, 3.58),
        (200, 3.26),
    ),
    adaptation_positive=_beside(_grid(-1, 1, 8), (16.7, 15.9, 14.3, 9.2, 8.3, 6.3, 5.6, 5.4)),
    adaptation_negative=_beside(_grid(-1, 1, 8), (14.8, 9.4, 8.0, 7.0, 5.5, 5.0, 4.5, 4.3)),
    adaptation_either=(),
)
"""Random quadratics in five dimensions: the paper's linear regression."""

ROSENBROCK = Published(
    tuned_learning_rate=5.31e-4,
    log10_losses={
        "learned": ((10, 0.76), (50, -0.30), (100, -1.83), (199, -2.84)),
        "momentum": ((100, 0.12), (199, -0.08)),
        "adam": ((100, -0.87), (199, -1.61)),
        "rmsprop": ((199, 0.21),),
    },
    losses_note="Read off the figure.",
    dominant_eigenvalues=(0.931, 0.765),
    offsets=(0.0070, 0.0035),
    updates=(),
    initial_learning_rate=None,
    half_height=(25.0, 30.0),
    plateau=(0.0607, -0.0580),
    schedule=((0, 1.58e-3), (200, 1.58e-3)),
    adaptation_positive=_beside(
        (0.1, 0.32, 1.0, 3.2, 10.0, 32.0, 316.0, 1000.0),
        (1.615e-3, 1.67e-3, 1.61e-3, 1.46e-3, 1.125e-3, 1.00e-3, 0.62e-3, 0.53e-3),
    ),
    adaptation_negative=_beside(
        (1e-3, 0.1, 1.0, 10.0, 32.0, 100.0, 1000.0),
        (1.575e-3, 1.54e-3, 1.28e-3, 0.925e-3, 0.857e-3, 0.868e-3, 0.95e-3),
    ),
    adaptation_either=(),
)
"""The Rosenbrock function in two dimensions."""

TWO_MOONS = Published(
    tuned_learning_rate=0.567,
    log10_losses={
        "learned": _log10((199, 0.038)),
        "momentum": _log10((199, 0.058)),
        "adam": _log10((199, 0.047)),
        "rmsprop": _log10((199, 0.10)),
    },
    losses_note="Estimated from the picture, worse than one per cent.",
    dominant_eigenvalues=(0.978, 0.844),
    offsets=(0.0043, 0.0022),
    updates=(),
    initial_learning_rate=1.6,
    half_height=(0.0075, 0.0075),
    plateau=(0.0213, -0.0213),
    schedule=((0, 1.71), (200, 1.71)),
    adaptation_positive=((0.1, 1.01),),
    adaptation_negative=((0.1, 0.89),),
    adaptation_either=(
        (2e-3, 1.72),
        (5.6e-3, 1.38),
        (5.6e-3, 1.45),
        (1e-2, 1.23),
        (1e-2, 1.31),
        (3e-2, 1.0),
    ),
)
"""A network that separates two moons; its size in the paper is not known."""
