"""How sure a mean, and a difference between two optimizers on the same tasks, can be."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import scipy.stats
from jaxtyping import Array, Float

CONFIDENCE = 0.95
"""Of intervals; the sign test has what is left of one as its level."""

SKEWED = 1.0
"""Skewness above which differences count as skewed."""

_NUM_RESAMPLES = 4000
# Of numbers in the resamples that are looked at together.
_MOST_RESAMPLED = 2**22


@dataclass(frozen=True)
class Summary:
    """One number a task, summed up over tasks.

    Tasks on which the number is not finite are kept: mean and standard error then are not finite
    either, while the median stays informative as long as fewer than half of the tasks diverge.

    ```pycon
    >>> l2o.evaluation.Summary.of(np.array([1.0, 2.0, 6.0])).median
    2.0
    ```
    """

    mean: float
    sem: float
    """The standard error of the mean; not a number for a single task."""
    median: float
    """Over all tasks, where not a number counts as worse than any number: as infinite."""

    def as_dict(self) -> dict[str, float | None]:
        """All of it for JSON, where what is not finite is `None`."""
        return {name: finite_or_none(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, values: Float[Array, " tasks"] | Float[np.ndarray, " tasks"]) -> "Summary":
        """Sums up `values`, one a task, computing in double precision.

        **Raises:** `ValueError` if there are no values.
        """
        numbers = np.asarray(values, np.float64)
        if numbers.size == 0:
            raise ValueError("There must be at least one task to sum up, got none.")
        median = float(np.median(np.where(np.isnan(numbers), np.inf, numbers)))
        return cls(*_mean_and_sem(numbers), median)


@dataclass(frozen=True)
class MeanDifference:
    """The mean of finite differences, and how sure it is.

    ```pycon
    >>> difference = l2o.evaluation.MeanDifference.of(np.array([1.0, 2.0, 3.0]))
    >>> low, high = difference.interval
    >>> f"{difference.mean} in [{low:.2f}, {high:.2f}]"
    '2.0 in [-0.48, 4.48]'
    ```
    """

    mean: float
    sem: float
    """The standard error of the mean; not a number for fewer than two differences."""
    interval: tuple[float, float]
    """The 95 % confidence interval from Student's t distribution. Of skewed differences it covers
    the mean less often than that."""
    bootstrap_interval: tuple[float, float]
    """The same from the studentized bootstrap (Efron and Tibshirani 1993, chapter 12.5), which
    follows skewness; without ends for three differences or fewer."""
    skewness: float
    """The adjusted Fisher-Pearson coefficient; not a number for fewer than three differences."""
    num_tasks: int

    @property
    def is_skewed(self) -> bool:
        """Whether the skewness is above one in size, so that the t-interval is to be doubted."""
        return abs(self.skewness) > SKEWED

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON, where what is not finite is `None`."""
        return {
            "mean": finite_or_none(self.mean),
            "sem": finite_or_none(self.sem),
            "interval": [finite_or_none(end) for end in self.interval],
            "bootstrap_interval": [finite_or_none(end) for end in self.bootstrap_interval],
            "skewness": finite_or_none(self.skewness),
            "num_tasks": self.num_tasks,
        }

    @classmethod
    def of(cls, differences: Float[np.ndarray, " tasks"]) -> "MeanDifference":
        """Sums up finite `differences`, of which there may be none."""
        size = differences.size
        mean, sem = _mean_and_sem(differences) if size else (math.nan, math.nan)
        return cls(
            mean,
            sem,
            _t_interval(mean, sem, size),
            _bootstrap_interval(differences, mean, sem),
            _skewness(differences),
            size,
        )


@dataclass(frozen=True)
class PairedDifference:
    """The first optimizer's number less the second's, task by task.

    Tasks on which either number is not finite are kept: mean, standard error and interval then
    are not finite, but such a task still counts among wins and losses, where a number that is
    not finite is worse than any finite one.
    """

    mean: float
    sem: float
    """The standard error of the mean difference."""
    interval: tuple[float, float]
    """The 95 % confidence interval of the mean difference, from Student's t distribution. Its
    ends are not numbers for a single task or where a difference is not finite."""
    wins: int
    """The number of tasks on which the first is better."""
    ties: int
    """The number of tasks on which neither is better."""
    num_tasks: int
    p_value: float
    """The two-sided sign test that wins and losses are equally likely; ties are set aside. It
    looks at the order alone, so a run that diverges weighs no more than any other."""
    finished: MeanDifference
    """Over the tasks on which both numbers are finite."""
    num_not_finite: tuple[int, int]
    """On how many tasks the first one's number is not finite, and the second one's."""
    larger_is_better: bool

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What can be said of the first optimizer.

        It is better if, over the tasks that both finish, the t-interval and the bootstrap interval
        both lie on that side of zero, if a sign test over all tasks does not say the opposite, and
        if it is not the one that diverges more often. Where they do not finish two tasks together,
        the sign test decides in place of the intervals.
        """
        losses = self.num_tasks - self.wins - self.ties
        sign = -1 if self.larger_is_better else 1
        ends = [sign * end for end in (*self.finished.interval, *self.finished.bootstrap_interval)]
        told = self.p_value < 1 - CONFIDENCE
        first, second = self.num_not_finite
        if self.finished.num_tasks < 2 and first != second:
            if told and self.wins > losses and first < second:
                return "better"
            if told and losses > self.wins and second < first:
                return "worse"
        # Comparisons with what is not a number are false, which leaves the pair undecided.
        if max(ends) < 0 and not (told and losses > self.wins) and first <= second:
            return "better"
        if min(ends) > 0 and not (told and self.wins > losses) and second <= first:
            return "worse"
        return "undecided"

    @property
    def win_share(self) -> float:
        """The share of all tasks on which the first is better."""
        return self.wins / self.num_tasks


def paired_difference(
    first: Float[Array, " tasks"] | Float[np.ndarray, " tasks"],
    second: Float[Array, " tasks"] | Float[np.ndarray, " tasks"],
    *,
    larger_is_better: bool = False,
) -> PairedDifference:
    """Compares two optimizers on the same tasks.

    **Arguments:** `first` and `second`, one number a task, in the same order of tasks;
    `larger_is_better`, for numbers such as accuracies.

    **Returns:** the difference `first - second`, computed in double precision.

    **Raises:** `ValueError` unless both have the same number of tasks, at least one.

    ```pycon
    >>> first = np.array([1.0, 2.0, 3.0, 4.0])
    >>> second = first + np.array([1.0, 1.1, 0.9, 1.0])
    >>> difference = l2o.evaluation.paired_difference(first, second)
    >>> f"{difference.mean:.2f}", difference.wins, difference.verdict
    ('-1.00', 4, 'better')
    ```
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(
            f"Pairs need one number a task from both sides, got shapes {a.shape} and {b.shape}."
        )
    with np.errstate(invalid="ignore"):
        difference = a - b
    mean, sem = _mean_and_sem(difference)
    cost_a, cost_b = _cost(a, larger_is_better), _cost(b, larger_is_better)
    wins, ties = int(np.sum(cost_a < cost_b)), int(np.sum(cost_a == cost_b))
    decided = a.size - ties
    return PairedDifference(
        mean=mean,
        sem=sem,
        interval=_t_interval(mean, sem, a.size),
        wins=wins,
        ties=ties,
        num_tasks=a.size,
        p_value=float(scipy.stats.binomtest(wins, decided).pvalue) if decided else 1.0,
        finished=MeanDifference.of(difference[np.isfinite(difference)]),
        num_not_finite=(int(np.sum(~np.isfinite(a))), int(np.sum(~np.isfinite(b)))),
        larger_is_better=larger_is_better,
    )


def finite_or_none(number: float) -> float | None:
    """A number for JSON, which has none that is not finite.

    ```pycon
    >>> l2o.evaluation.finite_or_none(0.5), l2o.evaluation.finite_or_none(float("nan"))
    (0.5, None)
    ```
    """
    return number if math.isfinite(number) else None


def _mean_and_sem(values: Float[np.ndarray, " tasks"]) -> tuple[float, float]:
    """The mean and its standard error; no exception where they are not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        mean = float(np.mean(values))
        if values.size < 2 or not math.isfinite(mean):
            return mean, math.nan
        return mean, float(np.std(values, ddof=1)) / math.sqrt(values.size)


def _cost(
    values: Float[np.ndarray, " tasks"], larger_is_better: bool
) -> Float[np.ndarray, " tasks"]:
    """Smaller is better, and whatever is not finite is worst."""
    return np.where(np.isfinite(values), -values if larger_is_better else values, np.inf)


def _t_interval(mean: float, sem: float, size: int) -> tuple[float, float]:
    """Not finite where the standard error is not, nor defined without degrees of freedom."""
    half_width = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, size - 1)) * sem
    return mean - half_width, mean + half_width


def _bootstrap_interval(
    values: Float[np.ndarray, " tasks"], mean: float, sem: float
) -> tuple[float, float]:
    """From how far the means of resamples lie from the mean, in their own standard errors."""
    size = values.size
    if not sem > 0:
        return mean - sem, mean + sem
    # Always the same resamples: the same numbers give the same interval.
    generator = np.random.default_rng(0)
    rows = max(1, _MOST_RESAMPLED // size)
    ratios = []
    for start in range(0, _NUM_RESAMPLES, rows):
        count = min(rows, _NUM_RESAMPLES - start)
        resamples = values[generator.integers(0, size, (count, size))]
        errors = np.std(resamples, axis=1, ddof=1) / math.sqrt(size)
        # A resample of one value many times says nothing of the error: infinitely far, unless it
        # is the mean itself.
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(
                np.nan_to_num(
                    (np.mean(resamples, axis=1) - mean) / errors, posinf=np.inf, neginf=-np.inf
                )
            )
    low, high = np.quantile(
        np.concatenate(ratios), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2), method="nearest"
    )
    return mean - float(high) * sem, mean - float(low) * sem


def _skewness(values: Float[np.ndarray, " tasks"]) -> float:
    """Zero where all values are the same."""
    if values.size < 3:
        return math.nan
    return 0.0 if np.ptp(values) == 0 else float(scipy.stats.skew(values, bias=False))
