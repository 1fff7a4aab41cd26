"""Finals of a search: fewer and fewer configurations on more and more tasks.

The best configurations of a search are often just short of diverging, and on other tasks they do;
and the best of many, on few tasks, has been lucky. On as many tasks as would settle both, only few
configurations can be tried: successive halving (Jamieson and Talwalkar 2016), by eighths.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

FEWER = 8
"""One configuration in so many goes on to a round of finals, on so many times as many tasks."""

_DRAWS = 3
_FEW = 6


class FinalRound(NamedTuple):
    """One round of finals."""

    num_finalists: int
    num_draws: int
    tasks_per_draw: int
    at_once: int
    """How many configurations run side by side."""

    def num_trials(self, num_tasks: int) -> int:
        """How many trials it takes, each of one configuration on `num_tasks` tasks."""
        return self.num_finalists * self.num_draws * self.tasks_per_draw // num_tasks


def final_rounds(num_finalists: int, num_tasks: int, at_once: int) -> list[FinalRound]:
    """The rounds of finals, until at most six configurations have met in the last one.

    In the first, finalists meet three times as many tasks as in the search. No more runs are
    side by side than in the search.

    **Arguments:** `num_finalists`, of the first round; `num_tasks`, of the search; `at_once`, how
    many configurations ran side by side in it.
    """
    rounds: list[FinalRound] = []
    factor = 1
    while True:
        together = min(factor, at_once)
        rounds.append(
            FinalRound(
                num_finalists,
                num_draws=math.ceil(_DRAWS * factor / together),
                tasks_per_draw=num_tasks * together,
                # In the first round as many as in the search: that program is compiled already.
                at_once=min(at_once // together, num_finalists) if rounds else at_once,
            )
        )
        if num_finalists <= _FEW:
            return rounds
        num_finalists = max(2, math.ceil(num_finalists / FEWER))
        factor *= FEWER


class Outcomes(NamedTuple):
    """What came of some configurations on tasks that are the same for all of them."""

    objective: Float[np.ndarray, "configurations tasks"]
    diverged: Bool[np.ndarray, "configurations tasks"]

    @property
    def scores(self) -> Float[np.ndarray, " configurations"]:
        """The mean objective; infinite where any is not finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            means = np.mean(self.objective, axis=1, dtype=np.float64)
        return np.where(np.isfinite(means), means, np.inf)

    def take(self, indices: Int[np.ndarray, " some"]) -> "Outcomes":
        """Those of some configurations."""
        return Outcomes(self.objective[indices], self.diverged[indices])

    def and_of(self, other: "Outcomes") -> "Outcomes":
        """Those of more configurations on the same tasks."""
        pairs = zip(self, other, strict=True)
        return Outcomes(*(np.concatenate(pair) for pair in pairs))

    def and_on(self, other: "Outcomes") -> "Outcomes":
        """Those of the same configurations on more tasks."""
        pairs = zip(self, other, strict=True)
        return Outcomes(*(np.concatenate(pair, axis=1) for pair in pairs))

    def best(self, number: int) -> Int[np.ndarray, " {number}"]:
        """The indices of the best configurations, the best first.

        Fewer runs whose objective is not finite count first, then the mean over the others.
        """
        finite = np.isfinite(self.objective)
        with np.errstate(invalid="ignore", over="ignore"):
            total = np.sum(np.where(finite, self.objective, 0.0), axis=1, dtype=np.float64)
        # Sums of equally many are in the order of their means.
        return np.lexsort((total, (~finite).sum(axis=1)))[:number]


def hold_finals(
    outcomes: Outcomes,
    rounds: Sequence[FinalRound],
    run: Callable[[Int[np.ndarray, " some"], int], Outcomes],
) -> tuple[int, Outcomes]:
    """Lets finalists meet.

    If the best one of a later round diverges there on any task, the next best of those that were
    left behind without ever diverging are tried on the same tasks, too, and so on.

    **Arguments:** `outcomes`, of the finalists in the search; `rounds`, from `final_rounds`; `run`,
    runs some of the finalists, given by their indices, on the tasks of a round, given by its
    number.

    **Returns:** the index of the winner, and all its outcomes.
    """
    finalists = np.arange(len(outcomes.objective))
    for number, each in enumerate(rounds):
        order = outcomes.best(len(finalists))
        ahead, behind = order[: each.num_finalists], order[each.num_finalists :]
        steady = behind[~np.any(outcomes.diverged[behind], axis=1)]
        groups = np.split(steady, range(each.num_finalists, len(steady), each.num_finalists))
        tried = outcomes.take(ahead).and_on(run(finalists[ahead], number))
        for group in groups if len(steady) else ():
            if not np.any(tried.diverged[tried.best(1)]):
                break
            tried = tried.and_of(outcomes.take(group).and_on(run(finalists[group], number)))
            ahead = np.concatenate([ahead, group])
        finalists, outcomes = finalists[ahead], tried
    winner = outcomes.best(1)
    return int(finalists[winner[0]]), outcomes.take(winner)
