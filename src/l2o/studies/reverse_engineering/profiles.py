"""What is meta-trained on what, in each profile, as plain data."""

from dataclasses import dataclass, replace
from typing import Any

from l2o import runs
from l2o.composition import Composed
from l2o.runs.evaluation_settings import EvaluationSettings
from l2o.runs.making import JudgeOn
from l2o.runs.named import recipe_named
from l2o.runs.recipe import Recipe
from l2o.runs.training_settings import TrainingSettings
from l2o.studies.reverse_engineering.published import (
    LINEAR_REGRESSION,
    ROSENBROCK,
    TWO_MOONS,
    Published,
)
from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class Ranges:
    """The gradients at which a task's optimizers are looked at: those of the paper's axes."""

    near: float
    """Update functions near the fixed point go from minus this to this (figure 2)."""
    far: float
    """Update functions at the initial state go from minus this to this (figure 3)."""
    log10_constant: tuple[float, float]
    """Constant gradients lie between these powers of ten (figure 5)."""
    num_constant: int
    """How many of them there are of each sign."""


@dataclass(frozen=True)
class TaskStudy:
    """One task with the optimizers that are meta-trained for it: a column of the figures."""

    recipe: Recipe
    """Its seed decides baselines and test problems; meta-training has other seeds."""
    meta_seeds: tuple[int, ...]
    """One meta-training each."""
    ranges: Ranges
    published: Published | None = None
    """What the paper reports, where it could be read."""

    @property
    def name(self) -> str:
        """What it is called in `results.json`."""
        return self.recipe.name

    def family(self, judge_on: JudgeOn) -> TaskFamily:
        """The tasks."""
        return runs.make_family(self.recipe.task, judge_on)

    def meta_training(self, seed: int) -> Recipe:
        """The recipe of one meta-training."""
        return replace(self.recipe, seed=seed)

    def as_dict(self) -> dict[str, Any]:
        """All settings, for JSON."""
        return {"recipe": self.recipe.as_dict(), "meta_seeds": list(self.meta_seeds)}


_QUADRATIC_RANGES = Ranges(near=2.0, far=5.0, log10_constant=(-1, 1), num_constant=8)
_ROSENBROCK_RANGES = Ranges(near=10.0, far=1000.0, log10_constant=(-3, 3), num_constant=13)
_MOONS_RANGES = Ranges(near=0.01, far=0.1, log10_constant=(-4, -1), num_constant=13)
# Ours: the paper's figures of this task could not be read.
_MNIST_RANGES = Ranges(near=0.01, far=0.1, log10_constant=(-4, -1), num_constant=13)

# 2,500 configurations are the paper's number, as it is remembered; its ranges are not known.
_EVALUATION = EvaluationSettings(
    baselines=("momentum", "rmsprop", "adam"),
    num_configurations=2500,
    tuning_tasks=64,
    num_tasks=128,
    num_steps=200,
)
# All of 1,024 points are in every loss: more at once would not fit into a processor's cache.
_FULL_BATCH_EVALUATION = replace(_EVALUATION, tuning_tasks=4, configurations_at_once=8)

# The settings that come with the paper's published optimizer for quadratics.
_PUBLISHED_TRAINING = TrainingSettings(
    meta_steps=5000,
    num_tasks=64,
    horizon=200,
    truncation=200,
    objective="normalized-mean-loss",
    estimator=Composed("exact"),
    learning_rate=7.8366162e-4,
    schedule="exponential",
    decay_rate=0.55465203,
    decay_steps=1000,
    b1=0.80639412,
    b2=0.5935703,
    epsilon=4.5298399e-06,
    clip_value=0.04726148,
    meta_l2_penalty=1e-6,
    validation_tasks=64,
)


def _named(name: str, recipe: str, evaluation: EvaluationSettings) -> Recipe:
    """A named recipe under the name of its column."""
    return replace(recipe_named(recipe), name=name, evaluation=evaluation)


_QUADRATIC = _named("linear-regression", "quadratic-gru", _EVALUATION)
_ROSENBROCK = _named("rosenbrock", "rosenbrock-gru", _EVALUATION)
_MOONS = _named("two-moons", "moons-gru", _FULL_BATCH_EVALUATION)


def _shortened(recipe: Recipe, meta_steps: int, num_tasks: int) -> Recipe:
    """A recipe that keeps nothing of its quality, only its shape."""
    return replace(
        recipe,
        optimizer=recipe.optimizer.but(hidden_size=16),
        training=replace(recipe.training, meta_steps=meta_steps, num_tasks=num_tasks),
        evaluation=replace(recipe.evaluation, num_configurations=64, tuning_tasks=4, num_tasks=32),
    )


def _wide(recipe: Recipe) -> Recipe:
    """A recipe with as many units as the paper's."""
    return replace(recipe, optimizer=recipe.optimizer.but(hidden_size=256))


QUICK = (
    TaskStudy(_shortened(_QUADRATIC, 300, 16), (1, 2), _QUADRATIC_RANGES, LINEAR_REGRESSION),
    TaskStudy(_shortened(_ROSENBROCK, 100, 32), (1,), _ROSENBROCK_RANGES, ROSENBROCK),
    TaskStudy(
        replace(_shortened(_MOONS, 40, 2), task=Composed("two-moons", {"hidden": (8,)})),
        (1,),
        _MOONS_RANGES,
        TWO_MOONS,
    ),
)
"""All parts of the reproduction, each as short as can be."""

CPU = (
    TaskStudy(_QUADRATIC, (1, 2, 3, 4, 5), _QUADRATIC_RANGES, LINEAR_REGRESSION),
    TaskStudy(_ROSENBROCK, (1, 2, 3), _ROSENBROCK_RANGES, ROSENBROCK),
    TaskStudy(_MOONS, (1, 2), _MOONS_RANGES, TWO_MOONS),
)
"""64 units, and a smaller network on the two moons; within an hour on two cores."""

FULL = (
    TaskStudy(
        replace(_wide(_QUADRATIC), training=_PUBLISHED_TRAINING),
        (1, 2, 3, 4, 5),
        _QUADRATIC_RANGES,
        LINEAR_REGRESSION,
    ),
    TaskStudy(_wide(_ROSENBROCK), (1, 2, 3, 4, 5), _ROSENBROCK_RANGES, ROSENBROCK),
    TaskStudy(
        replace(_wide(_MOONS), task=Composed("two-moons", {"hidden": (64, 64, 64)})),
        (1, 2, 3),
        _MOONS_RANGES,
        TWO_MOONS,
    ),
    TaskStudy(
        replace(
            _wide(_MOONS), name="mnist", task=Composed("image-conv", {"network": "four-layer-conv"})
        ),
        (1, 2, 3),
        _MNIST_RANGES,
    ),
)
"""256 units and the published settings where there are some; for an accelerator.

The MNIST task needs the data, and is left out without them.
"""
