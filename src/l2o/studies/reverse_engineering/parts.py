"""The parts of the reproduction: what each computes about a task."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from l2o.evaluation import Evaluation, evaluate
from l2o.optimizers import LearnedOptimizer
from l2o.report.plain import plain
from l2o.runs import Recipe
from l2o.runs._distill import distill_and_judge
from l2o.runs.building import build_objective, evaluation_key
from l2o.studies.parts import TunedBaseline, meta_train, optimizer_of
from l2o.studies.reverse_engineering.analysis import analyse
from l2o.studies.reverse_engineering.profiles import TaskStudy
from l2o.studies.reverse_engineering.rows import (
    Curve,
    Distilled,
    Mechanisms,
    MetaTrained,
    Paired,
    Performance,
)
from l2o.studies.work import Report


def train(report: Report, recipe: Recipe, folder: Path) -> MetaTrained:
    """Meta-trains one optimizer."""
    result, resumed_from_step = meta_train(report, recipe, folder)
    return plain(
        {
            "seed": recipe.seed,
            "validation_score": result.best_score,
            "best_step": result.best_step,
            "num_skipped": result.num_skipped,
            "resumed_from_step": resumed_from_step,
        }
    )


def compare(
    _: Report, study: TaskStudy, learned: Mapping[int, Path], baselines: Sequence[TunedBaseline]
) -> Performance:
    """Runs all optimizers, the learned ones by meta-seed, on the same fresh tasks."""
    settings = study.recipe.evaluation
    hand_designed = _by_name(baselines)
    names = {seed: f"learned, seed {seed}" for seed in learned}
    evaluation = evaluate(
        {names[seed]: optimizer_of(learned[seed]) for seed in learned} | hand_designed,
        study.family("test"),
        key=evaluation_key(study.recipe),
        num_tasks=settings.num_tasks,
        num_steps=settings.num_steps,
        objective=build_objective(study.recipe.training),
    )
    return plain(
        {
            "num_tasks": settings.num_tasks,
            "num_steps": settings.num_steps,
            "optimizers": [
                *(_curve(evaluation, name, seed) for seed, name in names.items()),
                *(_curve(evaluation, name, None) for name in hand_designed),
            ],
            "paired": [
                _paired(evaluation, name, seed, baseline)
                for seed, name in names.items()
                for baseline in hand_designed
            ],
        }
    )


def find_mechanisms(_: Report, study: TaskStudy, seed: int, folder: Path) -> Mechanisms:
    """Looks for all mechanisms in one optimizer."""
    return analyse(optimizer_of(folder), seed, study, _key(study, seed))


def distill(
    _: Report, study: TaskStudy, seed: int, folder: Path, baselines: Sequence[TunedBaseline]
) -> Distilled:
    """Makes a closed-form optimizer out of one."""
    distillation = distill_and_judge(
        optimizer_of(folder), study.recipe, _key(study, seed), _by_name(baselines)
    )
    return plain({"seed": seed, **distillation.as_dict()})


def _key(study: TaskStudy, seed: int) -> PRNGKeyArray:
    """Of what is looked at in the optimizer of a meta-seed."""
    return jax.random.fold_in(evaluation_key(study.recipe), seed)


def _by_name(baselines: Sequence[TunedBaseline]) -> dict[str, LearnedOptimizer]:
    return {each["name"]: optimizer_of(each) for each in baselines}


def _curve(evaluation: Evaluation, name: str, seed: int | None) -> Curve:
    """One optimizer's objective and mean loss curve over all tasks."""
    runs = evaluation.runs[name]
    summary = evaluation.summary(name, "objective")
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.mean(runs.losses, axis=0, dtype=np.float64)
        sem = np.std(runs.losses, axis=0, ddof=1, dtype=np.float64) / np.sqrt(len(runs.losses))
    return plain(
        {
            "seed": seed,
            "name": name,
            "objective": {"mean": summary.mean, "sem": summary.sem, "median": summary.median},
            "diverged": int(np.sum(runs.diverged)),
            "mean_loss": mean,
            "sem_loss": sem,
            "median_loss": np.median(runs.losses, axis=0),
        }
    )


def _paired(evaluation: Evaluation, name: str, seed: int, baseline: str) -> Paired:
    """A learned optimizer against a baseline on the objective.

    The mean difference is over the problems that both finish, which favours the one that diverges
    more often.
    """
    order = evaluation.compare(name, baseline, "objective")
    finished = order.finished.as_dict()
    return plain(
        {
            "seed": seed,
            "baseline": baseline,
            **finished,
            "num_finite": finished["num_tasks"],
            "wins": order.wins,
            "num_tasks": order.num_tasks,
            "p_value": order.p_value,
            "better": order.verdict == "better",
        }
    )
