"""A run's optimizer against tuned baselines, as a recipe has it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from l2o.composition import Composed
from l2o.runs.evaluation_settings import EvaluationSettings
from l2o.runs.hand_designed import check_hand_designed, hand_designed_for
from l2o.runs.kept_tuning import keep_tuned, kept_tuned, tuning_conditions
from l2o.runs.making import load_optimizer, make_family
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.evaluation import Tuned
    from l2o.optimizers import HandDesigned, LearnedOptimizer
    from l2o.report import Comparison, Setting
    from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class ComparisonProgress:
    """How far a comparison is."""

    activity: str
    """What is being done."""
    done: int
    total: int | None
    """Not known yet where it is `None`."""


OnProgress = Callable[[ComparisonProgress], None]


def tune_baseline(
    name: str,
    recipe: Recipe,
    *,
    final_metric: str | None = None,
    on_progress: OnProgress | None = None,
) -> "Tuned":
    """Tunes a hand-designed optimizer for a recipe's task, horizon and objective.

    **Arguments:** `name`, of the optimizer; `recipe`; `final_metric`, of the task's validation
    split, to tune for that rather than for the objective; `on_progress`, called after every batch
    of configurations.

    **Returns:** what `l2o.tune` does.

    **Raises:** `ValueError` for an unknown name, one that does not go with the number of the task's
    losses, settings out of range and missing data.
    """
    from l2o.runs.feasibility import check_runs

    check_hand_designed(name)
    family = make_family(recipe.task, "validation")
    check_runs(recipe, [family])
    hand_designed = hand_designed_for([name], family)[name]
    return _tune(hand_designed, recipe, family, on_progress, final_metric)


def _tune(
    hand_designed: "HandDesigned",
    recipe: Recipe,
    family: "TaskFamily",
    on_progress: OnProgress | None,
    final_metric: str | None = None,
) -> "Tuned":
    """Tunes on tasks of the recipe's family."""
    from l2o.evaluation import tune

    settings = recipe.evaluation

    def report(done: int, total: int | None) -> None:
        if on_progress is not None:
            on_progress(ComparisonProgress(f"tuning {hand_designed.name}", done, total))

    report(0, None)
    return tune(
        hand_designed,
        family,
        key=evaluation_key(recipe),
        num_steps=settings.num_steps,
        objective=recipe.training.build_objective(),
        final_metric=final_metric,
        num_configurations=settings.num_configurations,
        num_tasks=settings.tuning_tasks,
        configurations_at_once=settings.configurations_at_once,
        on_progress=report,
    )


def compare(
    recipe: Recipe, folder: RunFolder, *, on_progress: OnProgress | None = None
) -> "Comparison":
    """Tunes the baselines and runs them and a run's optimizer on the same fresh tasks.

    Tuned baselines are kept in the folder, and reused where all that decides them is the same.

    **Arguments:** `recipe`, for the task, the objective, the settings of the evaluation and the
    seed of its randomness, none of which meta-training ever uses; `folder`, of the run whose
    optimizer is compared; `on_progress`, called now and then.

    **Returns:** the comparison, on the test split where there is one.

    **Raises:** `ValueError` for settings out of range, missing data, and a folder without a
    valid optimizer.
    """
    from l2o.report import Comparison
    from l2o.runs.feasibility import check_runs

    settings = recipe.evaluation
    for name in settings.baselines:
        check_hand_designed(name)
    folder.check_is_finished(recipe)
    learned = load_optimizer(recipe.optimizer, folder.optimizer)
    family = make_family(recipe.task, "validation")
    others = [make_family(each, "test") for each in settings.other_tasks]
    check_runs(recipe, [family, *others], learned)
    baselines = hand_designed_for(settings.baselines, family)
    for each in others:
        hand_designed_for(settings.baselines, each)
    conditions = tuning_conditions(recipe, family)
    tuned, reused = [], []
    for each in baselines.values():
        path = folder.tuned / f"{each.name}.json"
        found = kept_tuned(path, each, conditions)
        if found is None:
            found = _tune(each, recipe, family, on_progress)
            keep_tuned(path, found, conditions)
        else:
            reused.append(each.name)
        tuned.append(found)
    runs = _runs(recipe.task, settings)
    results = []
    for index, (task, num_steps) in enumerate(runs):
        if on_progress is not None:
            on_progress(ComparisonProgress("running on test tasks", index, len(runs)))
        results.append(_run(learned, tuned, task, recipe, num_steps))
    return Comparison(
        learned=learned.title,
        objective=recipe.training.objective.replace("-", " "),
        tuned=tuple(tuned),
        main=results[0],
        others=tuple(results[1:]),
        seed=recipe.seed,
        reused=tuple(reused),
    )


def _runs(task: Composed, settings: EvaluationSettings) -> list[tuple[Composed, int]]:
    """The tasks and numbers of steps to compare on, the main ones first."""
    longer = [] if settings.longer_steps is None else [(task, settings.longer_steps)]
    others = [(other, settings.num_steps) for other in settings.other_tasks]
    return [(task, settings.num_steps), *longer, *others]


def _run(
    learned: "LearnedOptimizer",
    tuned: "Sequence[Tuned]",
    task: Composed,
    recipe: Recipe,
    num_steps: int,
) -> "Setting":
    """Runs all optimizers under one condition."""
    from l2o.evaluation import evaluate
    from l2o.report import Setting

    family = make_family(task, "test")
    # Made anew, for the number of losses that there are here.
    baselines = hand_designed_for([each.name for each in tuned], family)
    others = {
        each.name: baselines[each.name].with_hyperparameters(**each.hyperparameters)
        for each in tuned
    }
    evaluation = evaluate(
        {learned.title: learned, **others},
        family,
        key=evaluation_key(recipe),
        num_tasks=recipe.evaluation.num_tasks,
        num_steps=num_steps,
        objective=recipe.training.build_objective(),
    )
    return Setting(f"{family.title}, {num_steps} steps", evaluation)


def evaluation_key(recipe: Recipe) -> "PRNGKeyArray":
    """Randomness for tuning and comparing that meta-training with the same seed does not use."""
    return recipe.keys()[2]
