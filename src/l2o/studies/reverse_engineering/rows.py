"""What pages read of the results: entries of `results.json`, by name.

There is more than that in the file. `None` is what is not finite.
"""

from typing import Any, TypedDict

from l2o.studies.parts import TunedBaseline
from l2o.studies.study import Heading
from l2o.studies.work import Timed

Numbers = list[float | None]
Points = list[list[float]]
"""Pairs of x and y, or points of a projection."""


class MetaTrained(Timed):
    """A meta-training; its times are those of the last process alone."""

    seed: int
    resumed_from_step: int


class Objective(TypedDict):
    """Over problems."""

    mean: float | None
    sem: float | None
    median: float | None


class Curve(TypedDict):
    """An optimizer in the comparison, and its loss over steps."""

    seed: int | None
    """`None` of baselines."""
    name: str
    objective: Objective
    diverged: int
    mean_loss: Numbers
    sem_loss: Numbers


class Paired(TypedDict):
    """A learned optimizer less a baseline, over the problems that both finish."""

    seed: int
    baseline: str
    mean: float | None
    interval: tuple[float | None, float | None]
    skewness: float | None
    num_finite: int
    better: bool


class Performance(Timed):
    """All optimizers on the same fresh problems."""

    num_tasks: int
    optimizers: list[Curve]
    paired: list[Paired]


class StateSpace(TypedDict):
    """How many dimensions the visited states fill, and how they contract along a run."""

    variance_by_iteration: Numbers
    projected_states: Points


class Fitted(TypedDict):
    """The one momentum that is nearest to the response."""

    alpha: float
    beta: float
    share_explained: float


class MomentumArrow(TypedDict):
    """The update function at one of the late states."""

    projected_state: list[float]
    gradients: list[float]
    updates: Numbers


class Momentum(TypedDict):
    """At the resting state, and along a line through it."""

    eigenvalues: Points
    fitted: Fitted
    present: bool
    arrows: list[MomentumArrow]
    projected_resting_state: list[float]


class Density(TypedDict):
    """A histogram."""

    edges: list[float]
    density: Numbers


class Clipping(TypedDict):
    """The update function at the initial state, and the gradients that it is used on."""

    gradients: list[float]
    updates: Numbers
    saturates: bool
    half_height: float | None
    density: Density
    share_of_gradients_beyond_half_height: float


class Schedule(TypedDict):
    """The effective learning rate when no gradient is met, and how it rises and falls."""

    effective_learning_rate: Numbers
    present: bool
    peak_step: int
    rise: float | None
    fall: float | None
    projected_states: Points


class AdaptationArrow(TypedDict):
    """The update function at the fixed point of a constant gradient."""

    gradient: float
    projected_state: list[float]
    gradients: list[float]
    updates_without_offset: Numbers


class Adaptation(TypedDict):
    """Fixed points under constant gradients, and the update functions there."""

    gradients: list[float]
    effective_learning_rate: Numbers
    present: bool
    largest_over_smallest: float | None
    projected_states: Points
    arrows: list[AdaptationArrow]


class Mechanisms(Timed):
    """What was found in one optimizer."""

    seed: int
    state_space: StateSpace
    momentum: Momentum
    clipping: Clipping
    schedule: Schedule
    adaptation: Adaptation


class Presence(TypedDict):
    """In how many optimizers a mechanism is found."""

    name: str
    criterion: str
    seeds: list[int]
    of: int


class Score(TypedDict):
    """Of what was run beside a closed form."""

    name: str
    objective: Objective
    diverged: int


class Distilled(Timed):
    """The closed form of an optimizer."""

    seed: int
    formula: list[str]
    variance_explained: float | None
    scores: list[Score]
    verdicts: dict[str, dict[str, str]]


class Momenta(TypedDict):
    """A closed form of the best momentum."""

    beta: float
    alpha: float


class Published(TypedDict):
    """The paper's numbers, as `published.Published` has them."""

    tuned_learning_rate: float
    log10_losses: dict[str, Points]
    dominant_eigenvalues: Points
    offsets: list[float]
    updates: Points
    half_height: list[float] | None
    plateau: list[float] | None
    schedule: Points
    adaptation_positive: Points
    adaptation_negative: Points
    adaptation_either: Points


class Settings(TypedDict):
    """Of a column."""

    recipe: dict[str, Any]
    meta_seeds: list[int]


class Column(TypedDict):
    """A task with all that was found on it."""

    name: str
    title: str
    objective: str
    settings: Settings
    meta_training: list[MetaTrained]
    baselines: list[TunedBaseline]
    performance: Performance
    mechanisms: list[Mechanisms]
    presence: list[Presence]
    best_momentum: Momenta | None
    shown_seed: int
    distillation: Distilled
    published: Published | None


class Results(Heading):
    """All of them."""

    left_out: dict[str, str]
    """Tasks whose data are not there, and why."""
    cost: dict[str, dict[str, Timed]]
    """What the parts took, by column and kind of part."""
    remarks: list[str]
    studies: list[Column]
