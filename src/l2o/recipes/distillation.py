"""A closed-form optimizer made from a learned one, and what each of its mechanisms is worth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from l2o.recipes.compare import evaluation_key
from l2o.recipes.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.optimizers import LearnedOptimizer
    from l2o.report import Distillation

_NUM_TASKS = 24
_MAX_COORDINATES = 192


def distill_and_judge(
    optimizer: "LearnedOptimizer",
    recipe: Recipe,
    key: "PRNGKeyArray",
    others: "Mapping[str, LearnedOptimizer] | None" = None,
) -> "Distillation":
    """Distills an optimizer and runs what comes of it, whole and without each mechanism.

    **Arguments:** `optimizer`, meta-trained; `recipe`, for the tasks and the objective; `key`, of
    the tasks on which updates are recorded; `others`, optimizers by name to run beside it.

    **Returns:** the closed-form optimizer, and the objective of all on the very problems of the
    recipe's comparison.
    """
    from l2o.evaluation import evaluate
    from l2o.mechanisms import distill, record_gradients
    from l2o.report import Distillation, Score

    settings = recipe.evaluation
    family = recipe.task.family(judge_on="test")
    record = record_gradients(
        optimizer,
        family,
        key=key,
        num_tasks=_NUM_TASKS,
        num_steps=settings.num_steps,
        max_coordinates=_MAX_COORDINATES,
    )
    distilled = distill(optimizer, record)
    ablated = {
        f"closed form without {each.mechanism}": each.optimizer
        for each in distilled.ablations
        if each.present
    }
    evaluation = evaluate(
        {
            "the optimizer itself": optimizer,
            "closed form": distilled.optimizer,
            **ablated,
            **(others or {}),
        },
        family,
        key=evaluation_key(recipe),
        num_tasks=settings.num_tasks,
        num_steps=settings.num_steps,
        objective=recipe.training.build_objective(),
    )
    scores = tuple(
        Score(name, evaluation.summary(name, "objective"), int(runs.diverged.sum()))
        for name, runs in evaluation.runs.items()
    )
    return Distillation(
        distilled, recipe.training.objective.replace("-", " "), settings.num_tasks, scores
    )
