"""A closed-form optimizer made from a learned one, and what each of its mechanisms is worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from l2o.evaluation import evaluate, tune, tuning_key
from l2o.mechanisms import distill as distill_optimizer, record_gradients
from l2o.mechanisms.distillation import as_hand_designed
from l2o.optimizers import LearnedOptimizer
from l2o.report import Distillation, Score
from l2o.report.drawing import as_png
from l2o.runs.building import build_objective, distillation_key, evaluation_key
from l2o.runs.hand_designed import check_hand_designed
from l2o.runs.making import (
    check_can_be_distilled,
    check_goes_with,
    hand_designed_for,
    load_optimizer,
    make_family,
)
from l2o.runs.named import as_recipe
from l2o.runs.progress import ComparisonProgress, OnProgress, leave_unseen
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import DistillationFolder, RunFolder
from l2o.support.atomic import write_atomically
from l2o.support.kinds import held_to_kinds
from l2o.support.lock import only_writer
from l2o.support.strict_json import check_is_no_folder, write_json

_NUM_TASKS = 32
_MAX_COORDINATES = 256
_TRIAL_TASKS = 64
# The closed form starts from numbers that suit the task already.
_SHARE_OF_CONFIGURATIONS = 4

ITSELF, CLOSED, TUNED = "the optimizer itself", "closed form", "closed form, tuned"
"""Names of optimizers among the scores."""


@held_to_kinds
def distill(
    run: RunFolder | Path | str,
    recipe: Recipe | Path | str | None = None,
    *,
    against: Sequence[str] = (),
    out: Path | str | None = None,
    json: Path | str | None = None,
    on_progress: OnProgress = leave_unseen,
) -> Distillation:
    """Distils a run's optimizer into a formula, and runs that on the run's task.

        distillation = runs.distill("runs/x", against=["adam"])
        print(distillation.distilled.formula)

    `explain` with `distill=True` has the same on its page.

    **Arguments:**

    - `run`: a finished run, or its folder.
    - `recipe`: or its name; by default the run's.
    - `against`: names of hand-designed optimizers to run beside it, with the hyperparameters that
      the run's evaluation found best, if there is one, or else their defaults.
    - `out`: the folder for the figure and the numbers, by default `distill` in the run.
    - `json`: a further file for the numbers.
    - `on_progress`: called now and then.

    **Returns:** the closed form, and the objective of all on the problems of the recipe's
    comparison.

    **Raises:** `ValueError` for a run without an optimizer, for unknown names, and for a folder
    that another process is writing into.
    """
    folder = RunFolder.at(run)
    check_is_no_folder(json)
    recipe = (folder.read_recipe() if recipe is None else as_recipe(recipe)).confirm()
    folder.check_is_finished(recipe)
    for name in against:
        check_hand_designed(name)
    tuned = folder.read_tuned()
    target = folder.distillation if out is None else DistillationFolder(Path(out))
    with only_writer(target.path):
        optimizer = load_optimizer(recipe, folder)
        check_can_be_distilled(optimizer, folder.path)
        family = make_family(recipe.task, "validation")
        check_goes_with(optimizer, family)
        known = hand_designed_for(against, family)
        others = {
            name: each.over(recipe.evaluation.num_steps).with_hyperparameters(**tuned.get(name, {}))
            for name, each in known.items()
        }
        on_progress(ComparisonProgress(f"distilling {folder.path}", 0, None))
        distillation = distill_and_judge(optimizer, recipe, distillation_key(recipe), others)
        write_atomically(target.figure, as_png(distillation.draw()))
        for path in (target.numbers, json):
            if path is not None:
                write_json(path, distillation.as_dict())
    return distillation


def distill_and_judge(
    optimizer: LearnedOptimizer,
    recipe: Recipe,
    key: PRNGKeyArray,
    others: Mapping[str, LearnedOptimizer] | None = None,
) -> Distillation:
    """Distills an optimizer and runs what comes of it, whole and without each mechanism.

    The closed form is selected on problems of its own, and is also tuned like a baseline, with a
    quarter of their configurations.

    **Arguments:** `optimizer`, meta-trained; `recipe`, for the tasks and the objective; `key`, of
    the tasks on which updates are recorded, forms are selected and numbers tuned; `others`,
    optimizers by name to run beside it.

    **Returns:** the closed-form optimizer, and the objective of all on the very problems of the
    recipe's comparison.
    """
    settings = recipe.evaluation
    objective = build_objective(recipe.training)
    family = make_family(recipe.task, "validation")
    beside = dict(others or {})

    def trial(candidate: LearnedOptimizer) -> Float[np.ndarray, " problems"]:
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
    distilled = distill_optimizer(optimizer, record, trial=trial)
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
