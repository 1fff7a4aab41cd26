"""What the results hold: entries of `results.json`, by name."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypedDict, cast

from l2o.studies.flatness.profiles import PLAIN
from l2o.studies.parts import TunedBaseline
from l2o.studies.study import Heading
from l2o.studies.work import Timed

Compared = Literal["train_loss", "test_loss", "test_accuracy", "spectral_norm", "entropy_gap"]
"""Metrics whose differences are taken where training ends."""


class Cell(NamedTuple):
    """What rows of the results belong together: the same optimizer on the same kind of network."""

    architecture: str
    regularizer: str | None
    enhanced: bool
    control: str | None
    optimizee: str

    def reference(self) -> "Cell | None":
        """What a method is compared with, if there is anything to compare.

        A control, with the same optimizer without it; a regularizer, with meta-training without
        any, enhanced where it is; enhanced meta-training, with the ordinary one.
        """
        if self.control is not None:
            return self._replace(control=None)
        if self.regularizer is None:
            return None
        if self.regularizer != PLAIN:
            return self._replace(regularizer=PLAIN)
        return self._replace(enhanced=False) if self.enhanced else None


class OfCell(TypedDict):
    """Whose optimizer it is about, and on what kind of network: a `Cell`, in JSON."""

    architecture: str
    regularizer: str | None
    enhanced: bool
    control: str | None
    optimizee: str


class Row(OfCell):
    """A network that was trained.

    Beside these it has every metric that networks are judged by (`metric_of`), `None` where it is
    not finite.
    """

    meta_seed: int | None
    """`None` of baselines."""
    seed: int


class Difference(TypedDict):
    """A method less what it is compared with."""

    difference: float | None
    interval: tuple[float | None, float | None]
    interval_over_meta_seeds: tuple[float | None, float | None]
    sd_over_meta_seeds: float | None


class DifferenceAtLevel(TypedDict):
    """The same where training losses first are below a level."""

    difference: float | None
    interval: tuple[float | None, float | None]
    networks: int
    """With which both got there."""


class Comparison(OfCell):
    """A cell and what it is compared with; there is more `at_level`."""

    against: OfCell
    train_loss: Difference
    test_loss: Difference
    test_accuracy: Difference
    spectral_norm: Difference
    entropy_gap: Difference
    spectral_norm_ratio: float | None


class Trained(Timed):
    """A meta-training."""

    architecture: str
    regularizer: str
    enhanced: bool
    learning_rate: float
    meta_seed: int
    score: float | None
    num_skipped: int
    meta_steps: int
    imitating: int
    """Meta-steps that imitated."""


class Tuned(TunedBaseline):
    """A baseline for a kind of network; its `name` says what for, if not for the training loss."""

    optimizee: str
    optimizer: str


class TriedRate(TypedDict):
    """A learning rate of meta-training."""

    learning_rate: float
    score: float | None


class ChosenRate(TypedDict):
    """Of them."""

    chosen: float
    tried: list[TriedRate]


class Validated(Timed):
    """Means over networks to validate on."""

    validation_loss: float | None
    train_loss: float | None


class TriedWeight(Validated):
    """Of a regularizer."""

    weight: float


class ChosenWeight(TypedDict):
    """Of them; `None` where there is nothing to choose."""

    chosen: float | None
    tried: list[TriedWeight]


class TriedStrength(Validated):
    """Of a control."""

    strength: float


class ChosenStrength(TypedDict):
    """Of them, and with which optimizer."""

    architecture: str
    control: str
    chosen: float
    tried: list[TriedStrength]


class Bounds(Timed):
    """Along trainings: a list over points, and one over networks in each."""

    steps: list[int]
    train_loss: list[list[float | None]]
    logarithm: list[list[float | None]]
    lower: list[list[float | None]]
    twice_gap: list[list[float | None]]
    upper: list[list[float | None]]


class Slice(TypedDict):
    """The loss on a line or a plane through the parameters."""

    coordinates: list[float]
    losses: list[object]
    """A list over networks, and one over coordinates in each dimension."""


Surfaces = TypedDict("Surfaces", {"1": Slice, "2": Slice, "seconds": float, "cpu_seconds": float})
"""Of the networks where training ended, by the number of dimensions."""


class Settings(TypedDict):
    """Of the study, those that the page speaks of."""

    levels: list[float]
    meta_seeds: list[int]
    num_seeds: int
    num_steps: int
    validation_tasks: int


class Results(Heading):
    """All of them."""

    settings: Settings
    titles: dict[str, str]
    control_titles: dict[str, str]
    comparisons: list[Comparison]
    against_baselines: list[Comparison]
    learning_rates: dict[str, ChosenRate]
    weights: dict[str, dict[str, ChosenWeight]]
    meta_training: list[Trained]
    baselines: list[Tuned]
    controls: list[ChosenStrength]
    left_out: list[str]
    """Kinds of networks whose data are not there."""
    bounds: dict[str, Bounds]
    surfaces: dict[str, Surfaces]
    rows: list[Row]


def cell_of(row: OfCell) -> Cell:
    """Which cell it belongs to."""
    return Cell(
        row["architecture"], row["regularizer"], row["enhanced"], row["control"], row["optimizee"]
    )


def by_cell(rows: list[Row]) -> dict[Cell, list[Row]]:
    """The rows of each cell."""
    cells: dict[Cell, list[Row]] = {}
    for row in rows:
        cells.setdefault(cell_of(row), []).append(row)
    return cells


def metric_of(row: Row, metric: str) -> float | None:
    """What a network was judged by."""
    return cast(Mapping[str, float | None], row)[metric]


def at_level(
    comparison: Comparison, level: float
) -> Mapping[Literal["test_loss", "test_accuracy"], DifferenceAtLevel]:
    """The differences where training losses first are below a level."""
    return cast(Mapping, comparison)[f"at_{level:g}"]
