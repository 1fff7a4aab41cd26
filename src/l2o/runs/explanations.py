"""Optimizers to be explained: by name, by their run or folder of weights, or a person's own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from l2o.composition import is_reference
from l2o.runs.compare import ComparisonProgress, OnProgress
from l2o.runs.hand_designed import (
    build_hand_designed,
    check_hand_designed,
    find_hand_designed,
    weights_losses,
)
from l2o.runs.making import load_optimizer, make_any_optimizer, make_family
from l2o.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from l2o.mechanisms import GradientRecord
    from l2o.optimizers import LearnedOptimizer
    from l2o.report import Subject

_NUM_TASKS = 16
_MAX_COORDINATES = 256


@dataclass(frozen=True)
class _Found:
    """An optimizer, and what is known of it."""

    name: str
    optimizer: "LearnedOptimizer"
    origin: str
    record: "GradientRecord | None" = None


def explain_all(
    name_or_run: str,
    settings: Mapping[str, float],
    against: Sequence[str],
    *,
    num_steps: int,
    time: int | None,
    reference_gradient: float | None,
    distill: bool,
    task: str | None = None,
    own_optimizer: str | None = None,
    on_progress: OnProgress,
) -> "dict[str, Subject]":
    """Explains an optimizer, and others beside it.

    **Arguments:**

    - `name_or_run`: the name of a hand-designed optimizer, the folder of a finished run or of a
      saved optimizer, or `module:attribute` or `file.py:attribute` for one of your own.
    - `settings`: hyperparameters of a hand-designed optimizer, the defaults of those not given; or
      keywords of what makes one of your own.
    - `against`: names or runs of further optimizers. Hand-designed ones have the hyperparameters
      that the run's evaluation found best, if there is one, or else their defaults.
    - `num_steps`, `time` and `reference_gradient`: as for `l2o.mechanisms.explain`; by default the
      reference gradient is the median size of those met on a run's task, or 1.
    - `distill`: whether to distil the run's optimizer and run the result on the run's task, beside
      those of `against`.
    - `task` and `own_optimizer`: code of your own that the run was made with, if it was.
    - `on_progress`: called now and then.

    **Returns:** the explanations by name, the main one first.

    **Raises:** `ValueError` for unknown names and hyperparameters, for numbers out of range, for
    damaged runs, and for `distill` without a run.
    """
    from l2o.support.checks import check_number, check_size

    check_subjects(name_or_run, against, distill=distill)
    # Before gradients are recorded, which takes a while.
    check_size("num_steps", num_steps)
    if time is not None:
        check_size("time", time, least=0)
    if reference_gradient is not None:
        check_number("reference_gradient", reference_gradient, above=0)
    import jax
    import numpy as np

    from l2o.mechanisms.explain import explain
    from l2o.report import Subject
    from l2o.runs.distillation import distill_and_judge

    folder = RunFolder(Path(name_or_run))
    tuned = tuned_in(folder)
    own = {"task": task, "optimizer": own_optimizer}
    found = [_find(name_or_run, settings, own=own)]
    found += [_find(each, {}, tuned.get(each)) for each in against if each != name_or_run]
    subjects = {}
    for number, each in enumerate(found):
        on_progress(ComparisonProgress(f"explaining {each.name}", number, len(found)))
        reference = reference_gradient
        if reference is None:
            met = np.zeros(0) if each.record is None else np.abs(each.record.gradients)
            met = met[np.isfinite(met) & (met > 0)]
            reference = float(np.median(met)) if met.size else 1.0
        explanation = explain(
            each.optimizer,
            num_steps=num_steps,
            time=time,
            reference_gradient=reference,
            record=each.record,
        )
        distillation = None
        if distill and number == 0:
            on_progress(ComparisonProgress(f"distilling {each.name}", number, len(found)))
            recipe = folder.read_recipe().confirm(**own)
            key = jax.random.fold_in(jax.random.key(recipe.seed), 2)
            others = {other.name: other.optimizer for other in found[1:]}
            distillation = distill_and_judge(each.optimizer, recipe, key, others)
        subjects[each.name] = Subject(explanation, each.origin, distillation)
    return subjects


def check_subjects(name_or_run: str, against: Sequence[str], *, distill: bool) -> None:
    """Makes sure that there is all that is to be explained; JAX is left alone.

    **Arguments:** as for `explain_all`.

    **Raises:** `ValueError` for an unknown name, one given twice in `against`, and `distill`
    without a run.
    """
    from l2o.support.checks import check_unique

    check_unique("against", against)
    for name in (name_or_run, *against):
        if not (is_run(name) or _is_saved(name) or is_reference(name)):
            try:
                check_hand_designed(name)
            except ValueError as error:
                raise ValueError(f"{name} is no folder of a run, either. {error}") from None
            if weights_losses(name):
                raise ValueError(
                    f"{name} takes the gradients of several objectives; only optimizers of one "
                    "gradient can be explained."
                )
    if distill and not is_run(name_or_run):
        raise ValueError(f"--distill is for runs; {name_or_run} is no folder of one.")


def is_run(name: str) -> bool:
    """Whether this is the folder of a run."""
    return RunFolder(Path(name)).config.exists() and not _is_saved(name)


def _is_saved(name: str) -> bool:
    """Whether this is the folder of a saved optimizer."""
    return (Path(name) / "model.safetensors").exists()


def _find(
    name: str,
    settings: Mapping[str, float],
    tuned: Mapping[str, float] | None = None,
    own: Mapping[str, str | None] | None = None,
) -> _Found:
    """The optimizer of this name or in this folder; `own`, what a command line confirms."""
    if is_run(name):
        if settings:
            raise ValueError(f"--set is for hand-designed optimizers; {name} is a run.")
        return _from_run(RunFolder(Path(name)), own or {})
    if _is_saved(name):
        from l2o.deploy import load

        if settings:
            raise ValueError(f"--set is for hand-designed optimizers; {name} is a saved one.")
        optimizer = _of_one_gradient(load(name), Path(name))
        return _Found(name, optimizer, f"{type(optimizer).__name__}, saved in {name}.")
    if is_reference(name):
        keywords = ", ".join(f"{n} = {v:.4g}" for n, v in settings.items())
        origin = f"{name}, with {keywords}." if keywords else f"{name}, as it is in your code."
        return _Found(name, make_any_optimizer(name, settings), origin)
    values = dict(settings) or dict(tuned or {})
    optimizer = build_hand_designed(name, values)
    defaults = find_hand_designed(name).defaults
    listed = ", ".join(f"{n} = {v:.4g}" for n, v in (defaults | values).items())
    how = "as tuned for the run" if tuned and not settings else "hand-designed"
    return _Found(name, optimizer, f"{how}, with {listed}.")


def _from_run(folder: RunFolder, own: Mapping[str, str | None]) -> _Found:
    """A run's optimizer, with gradients that it meets on the run's validation tasks."""
    import jax

    from l2o.mechanisms import record_gradients

    recipe = folder.read_recipe().confirm(**own)
    folder.check_is_finished(recipe)
    optimizer = _of_one_gradient(load_optimizer(recipe.optimizer, folder.optimizer), folder.path)
    family = make_family(recipe.task, "validation")
    record = record_gradients(
        optimizer,
        family,
        key=jax.random.fold_in(jax.random.key(recipe.seed), 1),
        num_tasks=_NUM_TASKS,
        num_steps=recipe.evaluation.num_steps,
        max_coordinates=_MAX_COORDINATES,
    )
    origin = (
        f"{optimizer.title}, meta-trained on {family.title} ({folder.path}); gradients "
        f"are those of {record.gradients.shape[1]} parameters over {record.gradients.shape[0]} "
        f"steps of {_NUM_TASKS} validation tasks."
    )
    return _Found(str(folder.path), optimizer, origin, record)


def _of_one_gradient(optimizer: "LearnedOptimizer", path: Path) -> "LearnedOptimizer":
    """A saved optimizer, unless it takes several gradients."""
    from l2o.multiobjective import ML2O, PlainML2O

    if isinstance(optimizer, ML2O | PlainML2O):
        raise ValueError(
            f"{path} holds an optimizer that takes the gradients of several objectives; only "
            "optimizers of one gradient can be explained."
        )
    return optimizer


def tuned_in(folder: RunFolder) -> dict[str, dict[str, float]]:
    """The baselines' hyperparameters in a run's latest evaluation; none without one.

    **Raises:** `ValueError` if it is damaged.
    """
    evaluation = folder.read_evaluation()
    results = [] if evaluation is None else evaluation["results"]
    return {each["name"]: each["hyperparameters"] for each in results}


def read_settings(texts: Sequence[str]) -> dict[str, float]:
    """Reads `name=value` texts.

    **Raises:** `ValueError` for a text of another form, a value that is not finite, and a name
    given twice.
    """
    settings: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip().replace("-", "_")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"--set takes name=value with a number, got {text!r}.") from None
        if not math.isfinite(number):
            raise ValueError(f"--set takes finite numbers, got {text!r}.")
        if name in settings:
            raise ValueError(
                f"--set takes every name once, got {name} = {settings[name]:g} and {number:g}."
            )
        settings[name] = number
    return settings
