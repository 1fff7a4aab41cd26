"""A closed-form optimizer that does nearly what another one does, and what its parts are worth."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from l2o.mechanisms.distillation.fit import Data, fit, updates_of, variance_explained
from l2o.mechanisms.distillation.formula import describe, formula
from l2o.mechanisms.distillation.model import Model
from l2o.mechanisms.distillation.numbers import (
    ADAPTATION,
    DECAY,
    MECHANISMS,
    OFFSET,
    SATURATION,
    WARM_UP,
    Form,
    Part,
    memory,
    mode,
)
from l2o.mechanisms.distillation.optimizer import DistilledOptimizer
from l2o.mechanisms.distillation.starts import starting_models
from l2o.mechanisms.state_space import GradientRecord
from l2o.optimizers import LearnedOptimizer
from l2o.tasks.checks import check_at_least

NEGLIGIBLE = 1e-4
"""What explains less of the variance of updates than this is left out."""

_MOST_UPDATES = 20_000
# Evaluations of a model in a fit.
_FEW, _SOME, _MANY = 20, 60, 200
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
        }


def distill(
    optimizer: LearnedOptimizer,
    record: GradientRecord,
    *,
    held_out: GradientRecord | None = None,
    num_modes: int = 3,
) -> Distilled:
    """Finds a closed-form optimizer that makes nearly the updates of another one.

    It is composed of soft clipping, adaptation, momentum, warm-up, decay and a constant offset. All
    are fitted at once to recorded updates: by least squares, from several starts, some of which
    the analyses of the optimizer give. What explains less than 1e-4 of the variance is left out
    again, so that few numbers remain.

    **Arguments:**

    - `optimizer`: the one to distill.
    - `record`: gradients that it met and updates that it made, from `record_gradients`.
    - `held_out`: the same on other tasks, to judge by. By default a third of the record's tasks,
      which are then used for nothing else.
    - `num_modes`: of momentum, at most; at least 1.

    **Returns:** the optimizer, the share of the variance of held-out updates that it explains, and
    how much of that each mechanism is worth: removed alone, and everything else fitted again.

    **Raises:** `ValueError` for fewer than one mode, a record of a single task without `held_out`,
    and a record without updates.
    """
    check_at_least("num_modes", num_modes, 1)
    fitted, judged = map(_usable, _split(record) if held_out is None else (record, held_out))
    model = _best(starting_models(optimizer, fitted.gradients, num_modes), fitted)
    model, _ = fit(_simplified(model, fitted), fitted, _MANY)
    explained = variance_explained(model, judged)
    return Distilled(
        model.optimizer(),
        explained,
        variance_explained(model, fitted),
        tuple(_ablation(model, part, explained, fitted, judged) for part in MECHANISMS),
        judged.updates,
        updates_of(model, judged),
    )


def _split(record: GradientRecord) -> tuple[GradientRecord, GradientRecord]:
    """Two thirds of the tasks to fit, and one third to judge by."""
    tasks = np.unique(record.tasks)
    if tasks.size < 2:
        raise ValueError(
            "A record of at least two tasks is needed to distill an optimizer and to judge the "
            "result, or a second record in held_out."
        )
    held_out = np.isin(record.tasks, tasks[: max(1, tasks.size // 3)])

    def part(chosen: Bool[np.ndarray, " coordinates"]) -> GradientRecord:
        return GradientRecord(
            record.gradients[:, chosen], record.updates[:, chosen], record.tasks[chosen]
        )

    return part(~held_out), part(held_out)


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


def _simplified(model: Model, fitted: Data) -> Model:
    """The model without all that explains next to nothing, tried one after the other."""
    modes = [mode(index) for index in reversed(model.modes)]
    memories = [memory(index) for index in model.modes]
    parts = (OFFSET, WARM_UP, DECAY, *modes, ADAPTATION, SATURATION, *memories)
    explained = variance_explained(model, fitted)
    kept = 0
    for part in itertools.cycle(parts):
        if kept == len(parts):
            break
        kept += 1
        is_last_mode = part in modes and len(model.modes) == 1
        if is_last_mode or not model.has(part):
            continue
        without, _ = fit(model.without(part), fitted, _SOME)
        remaining = variance_explained(without, fitted)
        if explained - remaining < NEGLIGIBLE:
            model, explained, kept = without, remaining, 0
    return model


def _ablation(model: Model, part: Part, explained: float, fitted: Data, judged: Data) -> Ablation:
    """What is left without a mechanism."""
    if not model.has(part):
        return Ablation(part.name, False, model.optimizer(), explained, 0.0)
    without, _ = fit(model.without(part), fitted, _MANY)
    remaining = variance_explained(without, judged)
    return Ablation(part.name, True, without.optimizer(), remaining, explained - remaining)
