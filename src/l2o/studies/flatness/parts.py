"""The parts of the flatness study: what each computes."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import PRNGKeyArray

from l2o.composition import Composed
from l2o.evaluation.trained_networks import measure, surfaces
from l2o.report.plain import plain
from l2o.runs import Recipe, make_family
from l2o.runs.building import evaluation_key
from l2o.runs.making import JudgeOn
from l2o.studies.flatness.bounds import bounds_along_training
from l2o.studies.flatness.meta_training import recipe_of
from l2o.studies.flatness.profiles import Control, FlatnessStudy
from l2o.studies.flatness.rows import Bounds, Surfaces, Validated
from l2o.studies.parts import Source, meta_train, optimizer_of
from l2o.studies.work import Report, Timed
from l2o.tasks import TaskFamily

METRICS = (
    "train_loss",
    "test_loss",
    "test_accuracy",
    "spectral_norm",
    "trace",
    "relative_trace",
    "entropy_gap",
)
"""What every trained network is judged by."""

AT_LEVELS = ("steps", "test_loss", "test_accuracy")
"""What it is judged by where its training loss first is below a level."""

_POINTS = 9
"""Where the bounds are looked at along a training."""


class MetaTrained(Timed):
    """What is told of a meta-training."""

    score: float | None
    num_skipped: int
    meta_steps: int
    imitating: int


class Controlled(NamedTuple):
    """A control as it is tried."""

    control: Control
    strength: float

    @property
    def suffix(self) -> str:
        """For names of files."""
        return f"-{self.control.name}={self.strength:g}"

    def family(self, task: Composed, judge_on: JudgeOn) -> TaskFamily:
        """The tasks with it."""
        return family(self.control.apply(task, self.strength), judge_on)


# Data are read once.
family = cache(make_family)


def train(report: Report, recipe: Recipe, folder: Path) -> MetaTrained:
    """Meta-trains an optimizer."""
    result = meta_train(report, recipe, folder).result
    return plain(
        {
            "score": result.best_score,
            "num_skipped": result.num_skipped,
            "meta_steps": sum(row["meta_step"] > 0 for row in result.history),
            "imitating": sum(row.get("imitation", 0) for row in result.history),
        }
    )


def validate(
    _: Report, source: Source, study: FlatnessStudy, controlled: Controlled | None = None
) -> Validated:
    """The losses of networks of the kind that was meta-trained on, on the validation split."""
    task = study.training_task
    found = measure(
        optimizer_of(source),
        family(task, "validation"),
        _key(study),
        num_tasks=study.validation_tasks,
        num_steps=study.num_steps,
        trained_on=None if controlled is None else controlled.family(task, "validation"),
    )
    return plain({name: np.mean(found[name]) for name in ("validation_loss", "train_loss")})


def judge(
    _: Report,
    source: Source,
    study: FlatnessStudy,
    task: Composed,
    controlled: Controlled | None = None,
) -> dict[str, list[float | None]]:
    """All metrics of fresh networks of one kind, on the test split."""
    found = measure(
        optimizer_of(source),
        family(task, "test"),
        _key(study),
        num_tasks=study.num_seeds,
        num_steps=study.num_steps,
        trained_on=None if controlled is None else controlled.family(task, "test"),
        levels=study.levels,
    )
    return plain({metric: found[metric] for metric in metrics_of(study)})


def look_along(_: Report, source: Source, study: FlatnessStudy, task: Composed) -> Bounds:
    """The bounds along a few trainings."""
    return plain(
        bounds_along_training(
            optimizer_of(source),
            family(task, "test"),
            _key(study),
            num_points=_POINTS,
            num_tasks=study.shown_networks,
            num_steps=study.num_steps,
        )
    )


def look_around(_: Report, source: Source, study: FlatnessStudy, task: Composed) -> Surfaces:
    """The loss around the networks where training ends."""
    found = {}
    for dimensions in (1, 2):
        surface = surfaces(
            optimizer_of(source),
            family(task, "test"),
            _key(study),
            dimensions=dimensions,
            num_tasks=study.shown_networks,
            num_steps=study.num_steps,
        )
        losses = np.asarray(surface.losses)
        found[f"{dimensions}"] = {
            "coordinates": np.asarray(surface.coordinates)[0],
            # Of planes, only the first is drawn.
            "losses": losses if dimensions == 1 else losses[:1],
        }
    return plain(found)


def metrics_of(study: FlatnessStudy) -> list[str]:
    """The metrics of every row."""
    return [*METRICS, *(f"{name}_at_{level:g}" for level in study.levels for name in AT_LEVELS)]


def _key(study: FlatnessStudy) -> PRNGKeyArray:
    """Of all tasks to validate and to judge on."""
    return evaluation_key(recipe_of(study))
