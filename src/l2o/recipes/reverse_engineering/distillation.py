"""A closed-form optimizer made from a learned one, and what each of its mechanisms is worth."""

from typing import TYPE_CHECKING, Any

from l2o.recipes.compare import evaluation_key
from l2o.recipes.reverse_engineering.plain import plain
from l2o.recipes.reverse_engineering.profiles import Study

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.optimizers import LearnedOptimizer

_NUM_TASKS = 24
_MAX_COORDINATES = 192
WHOLE = "all mechanisms"


def distill_and_judge(
    optimizer: "LearnedOptimizer", study: Study, key: "PRNGKeyArray"
) -> dict[str, Any]:
    """Distills an optimizer and runs what comes of it, whole and without each mechanism.

    **Arguments:** `optimizer`, meta-trained; `study`, for the tasks; `key`, of the tasks on which
    updates are recorded.

    **Returns:** the formula, the shares of update variance explained, and the objective of the
    distilled optimizers on the very problems of the comparison.
    """
    from l2o.evaluation import evaluate
    from l2o.mechanisms import distill, record_gradients

    recipe = study.recipe
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
        f"without {each.mechanism}": each.optimizer for each in distilled.ablations if each.present
    }
    evaluation = evaluate(
        {"the learned optimizer": optimizer, WHOLE: distilled.optimizer, **ablated},
        family,
        key=evaluation_key(recipe),
        num_tasks=settings.num_tasks,
        num_steps=settings.num_steps,
        objective=recipe.training.build_objective(),
    )
    scores = []
    for name, runs in evaluation.runs.items():
        summary = evaluation.summary(name, "objective")
        scores.append(
            {
                "name": name,
                "objective": {"mean": summary.mean, "sem": summary.sem, "median": summary.median},
                "diverged": int(runs.diverged.sum()),
            }
        )
    return plain({**distilled.as_dict(), "scores": scores})
