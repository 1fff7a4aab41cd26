"""A closed-form optimizer made from a learned one, and what each of its mechanisms is worth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from l2o.runs.compare import evaluation_key
from l2o.runs.making import make_family
from l2o.runs.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.optimizers import LearnedOptimizer
    from l2o.report import Distillation

_NUM_TASKS = 32
_MAX_COORDINATES = 256
_TRIAL_TASKS = 64
# The closed form starts from numbers that suit the task already.
_SHARE_OF_CONFIGURATIONS = 4

ITSELF, CLOSED, TUNED = "the optimizer itself", "closed form", "closed form, tuned"
"""Names of optimizers among the scores."""


def distill_and_judge(
    optimizer: "LearnedOptimizer",
    recipe: Recipe,
    key: "PRNGKeyArray",
    others: "Mapping[str, LearnedOptimizer] | None" = None,
) -> "Distillation":
    """Distills an optimizer and runs what comes of it, whole and without each mechanism.

    The closed form is selected on problems of its own, and is also tuned like a baseline, with a
    quarter of their configurations.

    **Arguments:** `optimizer`, meta-trained; `recipe`, for the tasks and the objective; `key`, of
    the tasks on which updates are recorded, forms are selected and numbers tuned; `others`,
    optimizers by name to run beside it.

    **Returns:** the closed-form optimizer, and the objective of all on the very problems of the
    recipe's comparison.
    """
    from l2o.evaluation import evaluate, tune, tuning_key
    from l2o.mechanisms import distill, record_gradients
    from l2o.mechanisms.distillation import as_hand_designed
    from l2o.report import Distillation, Score

    settings = recipe.evaluation
    objective = recipe.training.build_objective()
    family = make_family(recipe.task, "validation")
    beside = dict(others or {})

    def trial(candidate: "LearnedOptimizer") -> Float[np.ndarray, " problems"]:
        tried = evaluate(
            {CLOSED: candidate},
            family,
            key=tuning_key(key),
            num_tasks=_TRIAL_TASKS,
            num_steps=settings.num_steps,
            objective=objective,
        )
        runs = tried.runs[CLOSED]
        return np.where(runs.diverged, np.inf, runs.objective)

    record = record_gradients(
        optimizer,
        family,
        key=key,
        num_tasks=_NUM_TASKS,
        num_steps=settings.num_steps,
        max_coordinates=_MAX_COORDINATES,
    )
    distilled = distill(optimizer, record, trial=trial)
    tuned = tune(
        as_hand_designed(distilled.optimizer),
        family,
        key=key,
        num_steps=settings.num_steps,
        objective=objective,
        num_configurations=-(-settings.num_configurations // _SHARE_OF_CONFIGURATIONS),
        num_tasks=settings.tuning_tasks,
        configurations_at_once=settings.configurations_at_once,
    )
    ablated = {
        f"{CLOSED} without {each.mechanism}": each.optimizer
        for each in distilled.ablations
        if each.present
    }
    evaluation = evaluate(
        {
            ITSELF: optimizer,
            CLOSED: distilled.optimizer,
            TUNED: tuned.optimizer,
            **ablated,
            **beside,
        },
        make_family(recipe.task, "test"),
        key=evaluation_key(recipe),
        num_tasks=settings.num_tasks,
        num_steps=settings.num_steps,
        objective=objective,
    )
    scores = tuple(
        Score(name, evaluation.summary(name, "objective"), int(runs.diverged.sum()))
        for name, runs in evaluation.runs.items()
    )
    return Distillation(
        distilled=distilled,
        tuned=tuned,
        objective=recipe.training.objective.replace("-", " "),
        num_tasks=settings.num_tasks,
        scores=scores,
        verdicts={
            name: {
                other: evaluation.compare(name, other, "objective").verdict
                for other in (ITSELF, *beside)
            }
            for name in (CLOSED, TUNED)
        },
    )
