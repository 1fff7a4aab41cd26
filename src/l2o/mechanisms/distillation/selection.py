"""Which of several closed forms to take: the one with the fewest numbers that does."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from l2o.mechanisms.distillation.fit import Data, fit, variance_explained
from l2o.mechanisms.distillation.model import Model
from l2o.mechanisms.distillation.numbers import (
    ADAPTATION,
    DECAY,
    OFFSET,
    SATURATION,
    WARM_UP,
    Part,
    memory,
    mode,
)
from l2o.optimizers import LearnedOptimizer

Trial = Callable[[LearnedOptimizer], Float[np.ndarray, " problems"]]
"""Runs an optimizer: what is to be small on each problem, not finite where it diverges."""

NEGLIGIBLE = 1e-4
"""What explains less than this of the variance of updates is left out."""
UNEXPLAINED_MARGIN = 0.1
"""Fewer numbers may leave so much more of the variance unexplained, relative to the least."""
OUTCOME_MARGIN = 0.2
"""Fewer numbers may be worse by so many standard deviations of outcomes over problems: a small
effect (Cohen 1988, section 2.2.3)."""

_SOME, _MANY = 60, 200
# Of closed forms with the same number of numbers so many are run.
_PER_SIZE = 2


class Candidate(NamedTuple):
    """A closed form, and how good it is."""

    model: Model
    variance_explained: float
    """The share of the variance of updates on the problems that are selected by."""
    outcomes: Float[np.ndarray, " problems"] | None
    """What came of it where it ran, if it did."""

    @property
    def num_numbers(self) -> int:
        """How many numbers there are to be read."""
        return self.model.num_numbers

    @property
    def is_stable(self) -> bool:
        """Whether it diverged nowhere that it ran."""
        return self.outcomes is None or bool(np.all(np.isfinite(self.outcomes)))


def simplifications(model: Model, fitted: Data, held_out: Data) -> list[Candidate]:
    """The model, and what remains when parts are left out one after the other.

    What explains next to nothing is left out at once; then always the part without which most is
    explained.

    **Arguments:** `model`, fitted; `fitted`, what to fit to again; `held_out`, what is to be
    explained.
    """

    def candidate(model: Model) -> Candidate:
        return Candidate(model, variance_explained(model, held_out), None)

    candidates = [candidate(model)]
    while True:
        current = candidates[-1]
        remaining: list[Candidate] = []
        for part in _removable(current.model):
            without, _ = fit(current.model.without(part), fitted, _SOME)
            remaining.append(candidate(without))
            if current.variance_explained - remaining[-1].variance_explained < NEGLIGIBLE:
                break
        if not remaining:
            return candidates
        best = max(remaining, key=lambda each: each.variance_explained)
        # The last one goes on; the others are candidates, too.
        candidates += [each for each in remaining if each is not best]
        candidates.append(best)


def _removable(model: Model) -> list[Part]:
    """The parts that the model has, the least useful ones first."""
    several = len(model.modes) > 1
    parts = (
        OFFSET,
        WARM_UP,
        DECAY,
        *(mode(index) for index in reversed(model.modes) if several),
        ADAPTATION,
        SATURATION,
        *(memory(index) for index in model.modes),
    )
    return [part for part in parts if model.has(part)]


def select(
    candidates: Sequence[Candidate], fitted: Data, held_out: Data, trial: Trial | None
) -> tuple[Candidate, list[Candidate]]:
    """Takes the closed form with the fewest numbers among those that are about as good as the best.

    Momenta that work against each other do not count: nobody can read them. With a trial, the
    best is the one with the least mean outcome that diverges nowhere, and as good is whatever
    diverges nowhere either and is worse by no more than a fifth of the standard deviation of
    outcomes over problems. Without one, the best explains most of the variance, and as good is
    whatever leaves no more than a tenth more of it unexplained.

    **Arguments:** `candidates`; `fitted` and `held_out`, as for `simplifications`; `trial`, runs
    them.

    **Returns:** the one taken, and the best of every size, the smallest first.
    """
    readable = [each for each in candidates if not each.model.has_opposing_momenta]
    by_size: dict[int, list[Candidate]] = {}
    for each in sorted(readable, key=lambda each: -each.variance_explained):
        by_size.setdefault(each.num_numbers, []).append(each)
    tried = []
    for size in sorted(by_size):
        for each in by_size[size][:_PER_SIZE]:
            model, _ = fit(each.model, fitted, _MANY)
            if model.has_opposing_momenta:
                model = each.model
            outcomes = None if trial is None else trial(model.optimizer_with_idle_parts())
            tried.append(Candidate(model, variance_explained(model, held_out), outcomes))
    good = as_good_as_the_best(tried)
    taken = min(good, key=lambda each: (each.num_numbers, _loss(each)))
    best: dict[int, Candidate] = {}
    for each in sorted(tried, key=lambda each: (each.num_numbers, _loss(each))):
        best.setdefault(each.num_numbers, each)
    return taken, list(best.values())


def as_good_as_the_best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are about as good as the best one, which is among them (see `select`)."""
    stable = [each for each in candidates if each.is_stable] or list(candidates)
    best = min(stable, key=_loss)
    if best.outcomes is None or not best.is_stable:
        most = (1 + UNEXPLAINED_MARGIN) * _loss(best) + NEGLIGIBLE
    else:
        most = _loss(best) + OUTCOME_MARGIN * float(np.std(best.outcomes))
    return [each for each in stable if _loss(each) <= most]


def _loss(candidate: Candidate) -> float:
    """What is to be small: the mean outcome, or the share of the variance not explained."""
    if candidate.outcomes is None or not candidate.is_stable:
        return 1 - candidate.variance_explained
    return float(np.mean(candidate.outcomes))
