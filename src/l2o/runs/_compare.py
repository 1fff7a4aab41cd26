"""A run's optimizer against tuned baselines, as a recipe has it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from l2o.composition import Composed
from l2o.evaluation import Tuned, evaluate as evaluate_optimizers, tune
from l2o.metatraining.metrics import Row
from l2o.optimizers import HandDesigned, LearnedOptimizer
from l2o.report import Comparison, Setting, tuned_as_dict, write_report
from l2o.runs.building import build_objective, evaluation_key
from l2o.runs.evaluation_settings import EvaluationChanges, EvaluationSettings
from l2o.runs.feasibility import check_runs
from l2o.runs.hand_designed import check_hand_designed
from l2o.runs.kept_tuning import keep_tuned, kept_tuned, tuning_conditions
from l2o.runs.making import baselines_for, hand_designed_for, load_optimizer, make_family
from l2o.runs.named import as_recipe
from l2o.runs.progress import ComparisonProgress, OnProgress, leave_unseen
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import RunFolder
from l2o.support.kinds import held_to_kinds
from l2o.support.lock import only_writer
from l2o.support.strict_json import check_is_no_folder, write_json
from l2o.tasks import TaskFamily


@held_to_kinds
def tune_baseline(
    name: str,
    recipe: Recipe | Path | str,
    *,
    final_metric: str | None = None,
    json: Path | str | None = None,
    on_progress: OnProgress = leave_unseen,
) -> Tuned:
    """Tunes a hand-designed optimizer for a recipe's task, horizon and objective: `l2o tune`.

        tuned = runs.tune_baseline("adam", runs.find_recipe("quadratic-gru"))
        print(tuned.hyperparameters, tuned.score)

    **Arguments:** `name`, of the optimizer; `recipe`, or its name; `final_metric`, of the task's
    validation split, to tune for that rather than for the objective; `json`, a file for the result;
    `on_progress`, called after every batch of configurations.

    **Returns:** what `l2o.tune` does.

    **Raises:** `ValueError` for an unknown name, one that does not go with the number of the task's
    losses, settings out of range and missing data.
    """
    check_hand_designed(name)
    check_is_no_folder(json)
    recipe = as_recipe(recipe)
    family = make_family(recipe.task, "validation")
    check_runs(recipe, [family])
    hand_designed = hand_designed_for([name], family)[name]
    tuned = _tune(hand_designed, recipe, family, on_progress, final_metric)
    if json is not None:
        write_json(json, tuned_as_dict(tuned))
    return tuned


def _tune(
    hand_designed: HandDesigned,
    recipe: Recipe,
    family: TaskFamily,
    on_progress: OnProgress,
    final_metric: str | None = None,
) -> Tuned:
    """Tunes on tasks of the recipe's family."""
    settings = recipe.evaluation

    def report(done: int, total: int | None) -> None:
        activity = f"tuning {hand_designed.name} on {family.title}"
        on_progress(ComparisonProgress(activity, done, total))

    report(0, None)
    return tune(
        hand_designed,
        family,
        key=evaluation_key(recipe),
        num_steps=settings.num_steps,
        objective=build_objective(recipe.training),
        final_metric=final_metric,
        num_configurations=settings.num_configurations,
        num_tasks=settings.tuning_tasks,
        configurations_at_once=settings.configurations_at_once,
        on_progress=report,
    )


@held_to_kinds
def evaluate(
    run: RunFolder | Path | str,
    recipe: Recipe | Path | str | None = None,
    *,
    seed: int | None = None,
    json: Path | str | None = None,
    on_progress: OnProgress = leave_unseen,
    **changes: Unpack[EvaluationChanges],
) -> Comparison:
    """Compares a run's optimizer with tuned baselines and writes a report: `l2o eval`.

        comparison = runs.evaluate("runs/x", num_tasks=16, baselines=("momentum", "adam"))
        print(comparison.main.evaluation.compare("RNNProp(20)", "adam", "objective").verdict)

    The report, its figures and all numbers are written into the run's folder. So are the tuned
    baselines, which are reused as long as nothing changes that decides them.

    **Arguments:** `run`, a finished run, or its folder; `recipe`, or its name, for the task, the
    objective, the settings of the evaluation and the seed, by default the run's; `seed` of tasks,
    initialisations and minibatches, which meta-training with the same seed does not use; `json`, a
    further file for the numbers; `on_progress`, called now and then; `changes`, fields of
    `EvaluationSettings` to have other values.

    **Returns:** the comparison, on the test split where there is one.

    **Raises:** `ValueError` for settings out of range, missing data, a folder that another process
    is writing into and one without a valid optimizer; nothing is written then.
    """
    folder = RunFolder.at(run)
    check_is_no_folder(json)
    of_run = folder.read_recipe()
    recipe = of_run if recipe is None else as_recipe(recipe)
    recipe = recipe.with_evaluation(seed=seed, **changes).confirm()
    history = folder.read_history()
    with only_writer(folder.path):
        comparison = _compare(recipe, folder, on_progress)
        for target in (folder.evaluation, json):
            if target is not None:
                write_json(target, comparison.as_dict())
        _write_report(comparison, recipe, folder, history)
    return comparison


def _compare(recipe: Recipe, folder: RunFolder, on_progress: OnProgress) -> Comparison:
    """Tunes the baselines and runs them and a run's optimizer on the same fresh tasks."""
    settings = recipe.evaluation
    folder.check_is_finished(recipe)
    learned = load_optimizer(recipe, folder)
    family = make_family(recipe.task, "validation")
    others = [make_family(each, "test") for each in settings.other_tasks]
    check_runs(recipe, [family, *others], learned)
    names = baselines_for(family, settings)
    baselines = hand_designed_for(names, family)
    for each in others:
        hand_designed_for(names, each)
    conditions = tuning_conditions(recipe, family)
    tuned, reused = [], []
    for each in baselines.values():
        path = folder.tuned_baseline(each.name)
        kept = kept_tuned(path, each, conditions)
        if kept is None:
            kept = _tune(each, recipe, family, on_progress)
            keep_tuned(path, kept, conditions)
        else:
            reused.append(each.name)
        tuned.append(kept)
    runs = _runs(recipe.task, settings)
    results = []
    for index, (task, num_steps) in enumerate(runs):
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
    learned: LearnedOptimizer,
    tuned: Sequence[Tuned],
    task: Composed,
    recipe: Recipe,
    num_steps: int,
) -> Setting:
    """Runs all optimizers under one condition."""
    family = make_family(task, "test")
    # Made anew, for the number of losses that there are here.
    baselines = hand_designed_for([each.name for each in tuned], family)
    others = {
        each.name: baselines[each.name].over(num_steps).with_hyperparameters(**each.hyperparameters)
        for each in tuned
    }
    evaluation = evaluate_optimizers(
        {learned.title: learned, **others},
        family,
        key=evaluation_key(recipe),
        num_tasks=recipe.evaluation.num_tasks,
        num_steps=num_steps,
        objective=build_objective(recipe.training),
    )
    return Setting(f"{family.title}, {num_steps} steps", evaluation)


def _write_report(
    comparison: Comparison, recipe: Recipe, folder: RunFolder, history: Sequence[Row]
) -> None:
    """Writes the page and its figures."""
    training = recipe.training
    horizon = training.horizon if training.curriculum is None else training.curriculum[0]
    write_report(
        comparison,
        folder.report,
        title=f"{comparison.learned} against tuned baselines",
        description=recipe.description,
        config=recipe.to_json(),
        history=history,
        windows=horizon // training.truncation,
    )
