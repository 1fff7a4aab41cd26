"""Explaining optimizers: by name, by their run or folder of weights, or a person's own."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from l2o.composition import is_reference
from l2o.deploy import load
from l2o.deploy.files import is_saved_optimizer
from l2o.mechanisms import GradientRecord, explain as explain_optimizer, record_gradients
from l2o.optimizers import LearnedOptimizer
from l2o.report import Subject, write_explanation
from l2o.runs._distill import distill_and_judge
from l2o.runs.building import distillation_key, explanation_key
from l2o.runs.making import (
    build_hand_designed,
    check_can_be_distilled,
    check_goes_with,
    find_hand_designed,
    load_optimizer,
    make_any_optimizer,
    make_family,
    of_one_gradient,
)
from l2o.runs.named import as_recipe
from l2o.runs.progress import ComparisonProgress, OnProgress, leave_unseen
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import ExplanationFolder, RunFolder
from l2o.runs.subjects import check_subjects, explanation_folder, is_run
from l2o.support.checks import check_number, check_size
from l2o.support.kinds import held_to_kinds
from l2o.support.lock import only_writer
from l2o.support.strict_json import check_is_no_folder, write_json

_NUM_TASKS = 16
_MAX_COORDINATES = 256


@dataclass(frozen=True)
class _Named:
    """An optimizer, and what is known of it."""

    name: str
    optimizer: LearnedOptimizer
    origin: str
    record: Callable[[], GradientRecord] | None = None
    """Records gradients on the tasks of a run."""


@held_to_kinds
def explain(
    name_or_run: RunFolder | Path | str,
    settings: Mapping[str, float] | None = None,
    against: Sequence[Path | str] = (),
    *,
    recipe: Recipe | Path | str | None = None,
    num_steps: int = 200,
    time: int | None = None,
    reference_gradient: float | None = None,
    distill: bool = False,
    out: Path | str | None = None,
    json: Path | str | None = None,
    on_progress: OnProgress = leave_unseen,
) -> dict[str, Subject]:
    """Explains an optimizer, and others beside it, on a page with figures: `l2o explain`.

        subjects = runs.explain("runs/x", against=["adam"])
        print(subjects["runs/x"].explanation.findings["momentum"])

    **Arguments:**

    - `name_or_run`: the name of a hand-designed optimizer, the folder of a finished run or of a
      saved optimizer, or `module:attribute` or `file.py:attribute` for one of your own.
    - `settings`: hyperparameters of a hand-designed optimizer, the defaults of those not given; or
      keywords of what makes one of your own.
    - `against`: names or runs of further optimizers. Hand-designed ones have the hyperparameters
      that the run's evaluation found best, if there is one, or else their defaults.
    - `recipe`: the run's, if `read_recipe` was told of code of your own that it was made with.
    - `num_steps`, `time` and `reference_gradient`: as for `l2o.mechanisms.explain`; by default the
      reference gradient is the median size of those met on a run's task, or 1. A schedule goes over
      `num_steps`.
    - `distill`: whether to distil the run's optimizer and run the result on the run's task, beside
      those of `against`.
    - `out`: the folder for the page and its figures; by default `explain` in the run, or
      `runs/explain-NAME`.
    - `json`: a further file for the numbers.
    - `on_progress`: called now and then.

    **Returns:** the explanations by name, the main one first.

    **Raises:** `ValueError` for unknown names and hyperparameters, for numbers out of range, for
    damaged runs, for `distill` without a run, and for a folder that another process is writing
    into.
    """
    main = str(name_or_run.path if isinstance(name_or_run, RunFolder) else name_or_run)
    settings, beside = settings or {}, [str(each) for each in against]
    check_is_no_folder(json)
    recipe = None if recipe is None else as_recipe(recipe)
    check_subjects(main, beside, distill=distill)
    check_size("num_steps", num_steps)
    if time is not None:
        check_size("time", time, least=0)
    if reference_gradient is not None:
        check_number("reference_gradient", reference_gradient, above=0)
    folder = RunFolder(Path(main))
    if is_run(main):
        recipe = (folder.read_recipe() if recipe is None else recipe).confirm()
        if distill:
            folder.check_is_finished(recipe)
            check_can_be_distilled(load_optimizer(recipe, folder), folder.path)
    tuned = folder.read_tuned()
    target = explanation_folder(main) if out is None else ExplanationFolder(Path(out))
    with only_writer(target.path):
        named = [_find(main, settings, num_steps, recipe=recipe)]
        named += [_find(each, {}, num_steps, tuned.get(each)) for each in beside if each != main]
        subjects = {}
        for number, each in enumerate(named):
            on_progress(ComparisonProgress(f"explaining {each.name}", number, len(named)))
            record = None if each.record is None else each.record()
            explanation = explain_optimizer(
                each.optimizer,
                num_steps=num_steps,
                time=time,
                reference_gradient=reference_gradient or _usual_gradient(record),
                record=record,
            )
            origin = each.origin if record is None else f"{each.origin} {_in_words(record)}"
            subjects[each.name] = Subject(explanation, origin)
        if distill and recipe is not None:
            first, *others = named
            on_progress(ComparisonProgress(f"distilling {first.name}", len(named), None))
            scored = {other.name: other.optimizer for other in others}
            distillation = distill_and_judge(
                first.optimizer, recipe, distillation_key(recipe), scored
            )
            subjects[first.name] = replace(subjects[first.name], distillation=distillation)
        _write(subjects, target, json, _command(main, settings, beside, distill=distill))
    return subjects


def _in_words(record: GradientRecord) -> str:
    """Where gradients come from."""
    steps, parameters = record.gradients.shape
    return (
        f"Gradients are those of {parameters} parameters over {steps} steps of {_NUM_TASKS} "
        "validation tasks."
    )


def _usual_gradient(record: GradientRecord | None) -> float:
    """The median size of the gradients met, or 1."""
    met = np.zeros(0) if record is None else np.abs(record.gradients)
    met = met[np.isfinite(met) & (met > 0)]
    return float(np.median(met)) if met.size else 1.0


def _write(
    subjects: Mapping[str, Subject],
    target: ExplanationFolder,
    json: Path | str | None,
    command: str,
) -> None:
    """Writes page and numbers."""
    write_explanation(subjects, target.page, command=command)
    first, *others = (subject.as_dict() for subject in subjects.values())
    names = list(subjects)[1:]
    numbers = first | ({"against": dict(zip(names, others, strict=True))} if others else {})
    for path in (target.numbers, json):
        if path is not None:
            write_json(path, numbers)


def _command(
    main: str, settings: Mapping[str, float], against: Sequence[str], *, distill: bool
) -> str:
    """The command line that makes the page again."""
    words = ["l2o", "explain", main]
    given = [f"{name}={repr(value).removesuffix('.0')}" for name, value in settings.items()]
    words += ["--set", *given] if settings else []
    words += ["--against", *against] if against else []
    return shlex.join([*words, *(["--distill"] if distill else [])])


def _find(
    name: str,
    settings: Mapping[str, float],
    num_steps: int,
    tuned: Mapping[str, float] | None = None,
    recipe: Recipe | None = None,
) -> _Named:
    """The optimizer of this name or in this folder; `recipe`, that of a run."""
    if is_run(name):
        if settings:
            raise ValueError(f"--set is for hand-designed optimizers; {name} is a run.")
        return _from_run(RunFolder(Path(name)), recipe)
    if is_saved_optimizer(Path(name)):
        if settings:
            raise ValueError(f"--set is for hand-designed optimizers; {name} is a saved one.")
        optimizer = of_one_gradient(load(name), Path(name))
        return _Named(name, optimizer, f"{type(optimizer).__name__}, saved in {name}.")
    if is_reference(name):
        keywords = ", ".join(f"{n} = {v:.4g}" for n, v in settings.items())
        origin = f"{name}, with {keywords}." if keywords else f"{name}, as it is in your code."
        return _Named(name, make_any_optimizer(name, settings), origin)
    values = dict(settings) or dict(tuned or {})
    optimizer = build_hand_designed(name, values, num_steps=num_steps)
    defaults = find_hand_designed(name).defaults
    listed = ", ".join(f"{n} = {v:.4g}" for n, v in (defaults | values).items())
    how = "as tuned for the run" if tuned and not settings else "hand-designed"
    return _Named(name, optimizer, f"{how}, with {listed}.")


def _from_run(folder: RunFolder, recipe: Recipe | None) -> _Named:
    """A run's optimizer, with gradients that it meets on the run's validation tasks."""
    recipe = (folder.read_recipe() if recipe is None else recipe).confirm()
    folder.check_is_finished(recipe)
    loaded = load_optimizer(recipe, folder)
    optimizer = of_one_gradient(loaded, folder.path)
    num_parts = len(recipe.training.parts)
    if optimizer is not loaded:
        on = f"{num_parts} families" if num_parts else recipe.task.name
        origin = f"{optimizer.title} of {loaded.title}, meta-trained on {on}"
        return _Named(str(folder.path), optimizer, f"{origin} ({folder.path}).")
    family = make_family(recipe.task, "validation")
    check_goes_with(optimizer, family)
    record = partial(
        record_gradients,
        optimizer,
        family,
        key=explanation_key(recipe),
        num_tasks=_NUM_TASKS,
        num_steps=recipe.evaluation.num_steps,
        max_coordinates=_MAX_COORDINATES,
    )
    on, also = family.title, ""
    if num_parts:
        on, also = f"{num_parts} families", f"; looked at on {family.title}"
    origin = f"{optimizer.title}, meta-trained on {on} ({folder.path}){also}."
    return _Named(str(folder.path), optimizer, origin, record)
