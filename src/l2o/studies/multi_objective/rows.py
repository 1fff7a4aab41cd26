"""What the results hold: entries of `results.json`, by name. `None` is what is not finite."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

from l2o.studies.parts import TunedBaseline
from l2o.studies.study import Heading
from l2o.studies.work import Timed

LEARNED = ("ML2O", "GML2O", "GML2O at intervals", "plain ML2O")
"""The learned methods."""

Metrics = dict[str, float | None]
Numbers = list[float | None]
Interval = tuple[float, float] | tuple[None, None]


class Coverage(TypedDict):
    """How well the last points of all starts cover the front."""

    hypervolume_share: float
    igd: float | None


class JudgedOnProblem(Timed):
    """A method on a test problem: a list has an entry for each start."""

    factor: float
    on_edge: bool
    criticality: list[float]
    mean_log10_criticality: list[float]
    steps_to: dict[str, list[int | None]]
    """By level of relative criticality."""
    distance: Numbers
    rises: list[int]
    losses: list[Numbers]
    coverage: Coverage


class OnProblem(JudgedOnProblem):
    """The same with its names."""

    problem: str
    method: str


class Judged(Timed):
    """A method on networks; beside these it has a list of every metric, over networks."""

    objective: Numbers
    num_diverged: int
    curve: Numbers
    seconds_per_step: float


OfMethod = TypedDict(
    "OfMethod", {"family": str, "method": str, "from": str | None, "meta_seed": int | None}
)
"""A method on a family of networks, and the family that it was meta-trained on, if it was."""


class Method(OfMethod, Timed):
    """What is told of it as a whole."""

    curve: Numbers
    seconds_per_step: float
    num_diverged: int
    tuning: NotRequired[TunedBaseline]
    """Of hand-designed ones."""


class Row(OfMethod):
    """A network that was trained; beside these it has every metric."""

    seed: int
    objective: float | None


class Profile(TypedDict):
    """For ratios of steps to those of the fastest method, the share of runs within them."""

    ratios: list[float]
    shares: list[float]


class OverProblems(TypedDict):
    """A method over all test problems."""

    method: str
    reached: float
    runs_with_rises: float
    median_criticality: float
    hypervolume_share: float
    profile: Profile


class Difference(TypedDict):
    """From the best hand-designed method."""

    difference: float | None
    interval: Interval


Comparison = TypedDict(
    "Comparison",
    {
        "family": str,
        "method": str,
        "from": str | None,
        "is_learned": bool,
        "is_best_hand_designed": bool,
        "means": Metrics,
        "objective_sem": float | None,
        "differences": dict[str, Difference],
        "improvement_over_alone": float | None,
        "num_diverged": int,
        "steps_to_target": float | None,
        "seconds_per_step": float,
        "seconds_to_target": float | None,
    },
)
"""A method on a family of networks, beside the best hand-designed one."""


class MetaTrained(Timed):
    """A meta-training."""

    name: str
    score: float | None
    num_skipped: int


class ProblemSettings(TypedDict):
    """Of the part on test problems, those that pages speak of."""

    problems: list[str]
    num_starts: int
    num_steps: int


class NetworkSettings(TypedDict):
    """The same of the part on networks."""

    meta_seeds: list[int]
    num_steps: int
    num_seeds: int
    num_configurations: int
    num_refined: int
    refined_configurations: int


class Settings(TypedDict):
    """Of both."""

    problems: ProblemSettings
    networks: NetworkSettings


class Results(Heading):
    """All of them."""

    remarks: list[str]
    """What else has to be known of how the results came about, a sentence each."""
    settings: Settings
    problem_comparison: list[OverProblems]
    comparisons: list[Comparison]
    problems: list[OnProblem]
    meta_training: list[MetaTrained]
    methods: list[Method]
    alone: dict[str, Metrics]
    """What networks for one target each reach, by family; and how long that took."""
    steps_per_epoch: dict[str, float]
    left_out: list[str]
    """Families whose data are not there."""
    rows: list[Row]


_OF_ALL = ("curve", "seconds_per_step", "num_diverged", "seconds", "cpu_seconds")


def rows_of(part: Judged, method: OfMethod) -> list[Row]:
    """One row for each network."""
    metrics = {name: values for name, values in part.items() if name not in _OF_ALL}
    rows: list[Any] = [
        {**method, "seed": seed, **{name: cast(Numbers, metrics[name])[seed] for name in metrics}}
        for seed in range(len(part["objective"]))
    ]
    return rows


def summary_of(part: Judged, method: OfMethod, tuning: TunedBaseline | None) -> Method:
    """What is told of a method as a whole."""
    told: Method = {
        **method,
        "curve": part["curve"],
        "seconds_per_step": part["seconds_per_step"],
        "num_diverged": part["num_diverged"],
    }
    if tuning is not None:
        told["tuning"] = tuning
    return {
        **told,
        "seconds": part.get("seconds", 0.0),
        "cpu_seconds": part.get("cpu_seconds", 0.0),
    }


def metrics_of(row: Row) -> Metrics:
    """All metrics of a network."""
    names = {*OfMethod.__annotations__, "seed"}
    return {
        name: value for name, value in cast(Mapping[str, Any], row).items() if name not in names
    }
