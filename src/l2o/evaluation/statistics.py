"""How sure a mean, and a difference between two optimizers on the same tasks, can be."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Array, Float

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """One number a task, summed up over tasks.

    Tasks on which the number is not finite are kept: mean and standard error then are not finite
    either, while the median stays informative as long as fewer than half of the tasks diverge.
    """

    mean: float
    sem: float
    """The standard error of the mean; not a number for a single task."""
    median: float
    """Over all tasks, where not a number counts as worse than any number: as infinite."""

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
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(
            f"Pairs need one number a task from both sides, got shapes {a.shape} and {b.shape}."
        )
    with np.errstate(invalid="ignore"):
        difference = a - b
    mean, sem = _mean_and_sem(difference)
    # Not finite where the standard error is not, nor defined without degrees of freedom.
    half_width = float(scipy.stats.t.ppf((1 + _CONFIDENCE) / 2, a.size - 1)) * sem
    cost_a, cost_b = _cost(a, larger_is_better), _cost(b, larger_is_better)
    wins, ties = int(np.sum(cost_a < cost_b)), int(np.sum(cost_a == cost_b))
    decided = a.size - ties
    return PairedDifference(
        mean=mean,
        sem=sem,
        interval=(mean - half_width, mean + half_width),
        wins=wins,
        ties=ties,
        num_tasks=a.size,
        p_value=float(scipy.stats.binomtest(wins, decided).pvalue) if decided else 1.0,
    )


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
