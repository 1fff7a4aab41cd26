"""A closed-form optimizer that does nearly what another one does, and what its parts are worth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from l2o.mechanisms.distillation._formula import describe, formula
from l2o.mechanisms.distillation.fit import Data, fit, updates_of, variance_explained
from l2o.mechanisms.distillation.model import Model
from l2o.mechanisms.distillation.numbers import MECHANISMS, Form, Part
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.mechanisms.distillation.selection import (
    NEGLIGIBLE,
    Candidate,
    Trial,
    select,
    simplifications,
)
from l2o.mechanisms.distillation.starts import starting_models
from l2o.mechanisms.state_space import GradientRecord
from l2o.optimizers import LearnedOptimizer, check_optimizer
from l2o.support.checks import check_instance, check_size

_MOST_UPDATES = 20_000
# Evaluations of a model in a fit.
_FEW, _MANY = 20, 200
# Of errors relative to the mean square of the updates.
_SAME = 1e-7
_MOST_POINTS = 3000


@dataclass(frozen=True)
class Ablation:
    """The best that can be done without one mechanism."""

    mechanism: str
    present: bool
    """Whether the distilled optimizer has the mechanism; without it there is nothing to lose."""
    optimizer: DistilledOptimizer
    """Without the mechanism, and with all other numbers fitted again."""
    variance_explained: float
    """The share of the variance of updates on held-out problems."""
    lost: float
    """How much more the distilled optimizer explains: what the mechanism is worth."""


@dataclass(frozen=True)
class Alternative:
    """The best closed form with so many numbers."""

    num_numbers: int
    variance_explained: float
    """The share of the variance of updates on the problems that are selected by."""
    outcome: float | None
    """The mean of what came of it on trial, if there was one; not finite where it diverged."""
    num_diverged: int | None
    """On how many problems of the trial it diverged, if there was one."""
    is_taken: bool


@dataclass(frozen=True)
class Distilled:
    """A closed-form optimizer, and how well it stands for the one it was distilled from."""

    optimizer: DistilledOptimizer
    """For every tool of the library, and through `l2o.as_optax` for every Optax loop."""
    variance_explained: float
    """The share of the variance of updates on held-out problems that it explains."""
    fitted_variance_explained: float
    """The same on the problems that it was fitted on."""
    ablations: tuple[Ablation, ...]
    """One for every mechanism there could be."""
    alternatives: tuple[Alternative, ...]
    """The best ones with fewer and with more numbers, the smallest first."""
    updates: Float[np.ndarray, "steps coordinates"]
    """Those on held-out problems."""
    predicted: Float[np.ndarray, "steps coordinates"]
    """The distilled optimizer's, when it meets the same gradients."""

    @property
    def formula(self) -> str:
        """The optimizer in symbols, a line for each assignment."""
        return formula(self.optimizer)

    @property
    def description(self) -> tuple[str, ...]:
        """The optimizer in words, a sentence for each mechanism."""
        return describe(self.optimizer)

    def draw(self, axes: Any) -> None:
        """Draws the distilled optimizer's updates against those that were made.

        **Arguments:** `axes`, of matplotlib.
        """
        made, predicted = self.updates.ravel(), self.predicted.ravel()
        picked = slice(None, None, max(1, made.size // _MOST_POINTS))
        ends = [np.min(made), np.max(made)]
        axes.plot(ends, ends, color="#999999", linewidth=1)
        axes.plot(made[picked], predicted[picked], ".", markersize=3)
        axes.set_xlabel("update that was made")
        axes.set_ylabel("update of the closed form")

    def draw_ablations(self, axes: Any) -> None:
        """Draws how much less of the variance is explained without each mechanism.

        **Arguments:** `axes`, of matplotlib.
        """
        present = [each for each in self.ablations if each.present]
        axes.barh([each.mechanism for each in present], [each.lost for each in present])
        axes.invert_yaxis()
        axes.set_xlabel("share of the variance lost without it")

    def as_dict(self) -> dict[str, Any]:
        """All of it in numbers and words, for JSON."""
        return {
            "formula": self.formula.splitlines(),
            "description": list(self.description),
            "variance_explained": self.variance_explained,
            "fitted_variance_explained": self.fitted_variance_explained,
            "num_updates": self.updates.size,
            "ablations": [
                {
                    "mechanism": each.mechanism,
                    "present": each.present,
                    "variance_explained": each.variance_explained,
                    "lost": each.lost,
                }
                for each in self.ablations
            ],
            "alternatives": [asdict(each) for each in self.alternatives],
        }


def distill(
    optimizer: LearnedOptimizer,
    record: GradientRecord,
    *,
    held_out: GradientRecord | None = None,
    num_modes: int = 3,
    trial: Trial | None = None,
) -> Distilled:
    """Finds a closed-form optimizer that makes nearly the updates of another one.

    It is composed of soft clipping, adaptation, momentum, warm-up, decay and a constant offset. All
    are fitted at once to recorded updates: by least squares, from several starts, some of which
    the analyses of the optimizer give. Then parts are left out one after the other, and of all
    that was met on the way the form with the fewest numbers is taken that is about as good as the
    best, on problems that it was not fitted to, and has no momenta that work against each other.

    **Arguments:**

    - `optimizer`: the one to distill.
    - `record`: gradients that it met and updates that it made, from `record_gradients`; of three
      tasks or more.
    - `held_out`: the same on other tasks, to judge by. By default a quarter of the record's tasks,
      which are then used for nothing else. Another quarter is what is selected by.
    - `num_modes`: of momentum, at most; at least 1.
    - `trial`: if given, what the forms are selected by instead: runs one on problems and gives what
      is to be small for each, not finite where it diverges. One that diverges is not taken.

    **Returns:** the optimizer, the share of the variance of held-out updates that it explains, and
    how much of that each mechanism is worth: removed alone, and everything else fitted again.

    **Raises:** `ValueError` for fewer than one mode, a record of fewer than three tasks (two with
    `held_out`), and a record without updates.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> record = l2o.mechanisms.record_gradients(
    ...     optimizer,
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(0),
    ...     num_tasks=3,
    ...     num_steps=8,
    ... )
    >>> distilled = l2o.mechanisms.distill(optimizer, record, num_modes=1)
    >>> print(distilled.formula)
    m₁ ← 0.5 m₁ - 0.25 g
    d ← m₁
    x ← x + d
    ```
    """
    check_optimizer(optimizer)
    check_instance("record", record, GradientRecord)
    check_size("num_modes", num_modes)
    parts = _split(record, (2, 1, 1)) if held_out is None else (*_split(record, (2, 1)), held_out)
    fitted, selected_by, judged = map(_usable, parts)
    starts = starting_models(optimizer, fitted.gradients, num_modes)
    candidates: list[Candidate] = []
    explained = -np.inf
    for number in range(1, num_modes + 1):
        whole = _best([each.with_modes(number) for each in starts], fitted)
        before, explained = explained, variance_explained(whole, fitted)
        if explained - before < NEGLIGIBLE:
            break
        # What is left of momenta that work against each other does so, too.
        if not whole.has_opposing_momenta:
            candidates += simplifications(whole, fitted, selected_by)
    taken, sizes = select(candidates, fitted, selected_by, trial)
    model = taken.model
    explained = variance_explained(model, judged)
    return Distilled(
        model.optimizer(),
        explained,
        variance_explained(model, fitted),
        tuple(_ablation(model, part, explained, fitted, judged) for part in MECHANISMS),
        tuple(_alternative(each, taken) for each in sizes),
        judged.updates,
        updates_of(model, judged),
    )


def _split(record: GradientRecord, shares: tuple[int, ...]) -> list[GradientRecord]:
    """The tasks divided, so that every part has one at least, and as many as its share."""
    tasks = np.unique(record.tasks)
    if tasks.size < len(shares):
        raise ValueError(
            f"A record of at least {len(shares)} tasks is needed to distill an optimizer, to "
            f"select and to judge by, got {tasks.size}."
        )
    spare = tasks.size - len(shares)
    ends = np.arange(1, 1 + len(shares)) + np.cumsum(shares) * spare // sum(shares)
    return [
        GradientRecord(record.gradients[:, chosen], record.updates[:, chosen], record.tasks[chosen])
        for chosen in (np.isin(record.tasks, some) for some in np.split(tasks, ends[:-1]))
    ]


def _usable(record: GradientRecord) -> Data:
    """The coordinates whose runs stayed finite, no more of them than are needed."""
    gradients, updates = record.gradients, record.updates
    finite = np.flatnonzero(np.all(np.isfinite(gradients) & np.isfinite(updates), axis=0))
    most = max(1, _MOST_UPDATES // len(gradients))
    picked = finite[:: max(1, -(-finite.size // most))]
    data = Data(gradients[:, picked], updates[:, picked])
    if not data.updates.size or np.ptp(data.updates) == 0 or not np.any(data.gradients):
        raise ValueError(
            "There is nothing to distill: the record has no finite updates that differ from one "
            "another."
        )
    return data


def _best(models: Sequence[Model], fitted: Data) -> Model:
    """The model that fits best: the most promising ones of each form are fitted to the end."""
    promising: dict[Form, tuple[Model, float]] = {}
    for model, error in (fit(model, fitted, _FEW) for model in models):
        if model.form not in promising or error < promising[model.form][1]:
            promising[model.form] = model, error
    fits = [fit(model, fitted, _MANY) for model, _ in promising.values()]
    least = min(error for _, error in fits)
    # Forms can do the same: correcting momentum's start undoes a certain warm-up.
    return next(model for model, error in fits if error <= least + _SAME)


def _alternative(candidate: Candidate, taken: Candidate) -> Alternative:
    """What is told of a candidate."""
    outcomes = candidate.outcomes
    return Alternative(
        candidate.num_numbers,
        candidate.variance_explained,
        None if outcomes is None else float(np.mean(outcomes)),
        None if outcomes is None else int(np.sum(~np.isfinite(outcomes))),
        candidate is taken,
    )


def _ablation(model: Model, part: Part, explained: float, fitted: Data, judged: Data) -> Ablation:
    """What is left without a mechanism."""
    if not model.has(part):
        return Ablation(part.name, False, model.optimizer(), explained, 0.0)
    without, _ = fit(model.without(part), fitted, _MANY)
    remaining = variance_explained(without, judged)
    return Ablation(part.name, True, without.optimizer(), remaining, explained - remaining)
