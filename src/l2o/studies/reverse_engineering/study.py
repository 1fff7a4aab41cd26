"""The reproduction in the order of its work: each task's meta-training, tuning, analyses."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from l2o.mechanisms import polyak_momentum
from l2o.studies.parts import tune
from l2o.studies.reverse_engineering import parts
from l2o.studies.reverse_engineering.page import write_pages
from l2o.studies.reverse_engineering.presence import presence
from l2o.studies.reverse_engineering.profiles import CPU, FULL, QUICK, TaskStudy
from l2o.studies.reverse_engineering.rows import (
    Column,
    Momenta,
    Performance,
    Published,
    Results,
    Settings,
)
from l2o.studies.study import Heading, Study
from l2o.studies.work import Timed, Work
from l2o.tasks.datasets import DataError


def results(heading: Heading, studies: Sequence[TaskStudy], work: Work) -> Results:
    """Does all parts about all tasks whose data are there."""
    there, left_out = with_data(studies)
    columns = work.each(partial(column_of, work), there)
    return {
        **heading,
        "left_out": left_out,
        "cost": {column["name"]: cost_of(column) for column in columns},
        "remarks": remarks_on(columns),
        "studies": columns,
    }


def column_of(work: Work, study: TaskStudy) -> Column:
    """Does all parts about one task."""
    seeds, recipe = study.meta_seeds, study.recipe
    folders = {seed: work.path / "runs" / f"{study.name}-{seed}" for seed in seeds}

    def meta_train(seed: int) -> Any:
        name = f"{study.name}/training-{seed}"
        return work.once(name, parts.train, study.meta_training(seed), folders[seed])

    def find_mechanisms(seed: int) -> Any:
        meta_train(seed)
        name = f"{study.name}/mechanisms-{seed}"
        return work.once(name, parts.find_mechanisms, study, seed, folders[seed])

    def tune_one(name: str) -> Any:
        return work.once(f"{study.name}/tuning-{name}", tune, name, recipe)

    analyses = work.start(work.each, find_mechanisms, seeds)
    baselines = work.each(tune_one, recipe.evaluation.baselines)
    trained = work.each(meta_train, seeds)
    performance = work.once(f"{study.name}/performance", parts.compare, study, folders, baselines)
    shown = middle_seed(performance)
    distillation = work.once(
        f"{study.name}/distillation-{shown}", parts.distill, study, shown, folders[shown], baselines
    )
    mechanisms = analyses.result()
    return {
        "name": study.name,
        "title": study.family("test").title,
        "objective": recipe.training.objective,
        "settings": cast(Settings, study.as_dict()),
        "meta_training": trained,
        "baselines": baselines,
        "performance": performance,
        "mechanisms": mechanisms,
        "presence": presence(mechanisms),
        "best_momentum": best_momentum(study),
        "shown_seed": shown,
        "distillation": distillation,
        "published": None
        if study.published is None
        else cast(Published, study.published.as_dict()),
    }


def best_momentum(study: TaskStudy) -> Momenta | None:
    """The closed form of the best momentum, where the task has one."""
    task = study.recipe.completed().task
    if task.name != "quadratic":
        return None
    low, high = task.keywords["log10_eigenvalues"]
    best = polyak_momentum(10**low, 10**high)
    return {"beta": best.beta, "alpha": best.alpha}


def middle_seed(performance: Performance) -> int:
    """The meta-seed with the median objective, the lower one of two: neither best nor worst."""
    means = {
        each["seed"]: each["objective"]["mean"]
        for each in performance["optimizers"]
        if each["seed"] is not None
    }
    in_order = sorted(means, key=lambda seed: (means[seed] is None, means[seed] or 0.0))
    return in_order[(len(in_order) - 1) // 2]


def with_data(studies: Sequence[TaskStudy]) -> tuple[list[TaskStudy], dict[str, str]]:
    """The studies whose data are there, and why the others are left out."""
    kept, left_out = [], {}
    for study in studies:
        try:
            study.family("test")
        except DataError as error:
            left_out[study.name] = str(error)
        else:
            kept.append(study)
    return kept, left_out


def remarks_on(columns: Sequence[Column]) -> list[str]:
    """What has to be known of how the results came about, a sentence each."""
    trained = [run for column in columns for run in column["meta_training"]]
    resumed = sum(run["resumed_from_step"] > 0 for run in trained)
    if not resumed:
        return []
    return [
        f"{resumed} of {len(trained)} meta-trainings were interrupted and resumed; what they took "
        "before is not in the minutes of computing."
    ]


def cost_of(column: Column) -> dict[str, Timed]:
    """Seconds that the parts took, by kind of part."""

    def total(*timed: Timed) -> Timed:
        return {
            "seconds": round(sum(part.get("seconds", 0.0) for part in timed), 1),
            "cpu_seconds": round(sum(part.get("cpu_seconds", 0.0) for part in timed), 1),
        }

    return {
        "meta_training": total(*column["meta_training"]),
        "tuning": total(*column["baselines"]),
        "comparison": total(column["performance"]),
        "analyses": total(*column["mechanisms"]),
        "distillation": total(column["distillation"]),
    }


def _claim(studies: Sequence[TaskStudy]) -> Mapping[str, Any]:
    return {"studies": [study.as_dict() for study in with_data(studies)[0]]}


STUDY: Study[Sequence[TaskStudy], Results] = Study(
    experiment="reverse-engineering",
    paper="Maheswaranathan, Sussillo, Metz, Sun, Sohl-Dickstein: Reverse engineering learned "
    "optimizers reveals known and novel mechanisms (NeurIPS 2021, arXiv 2011.02159)",
    profiles={"quick": QUICK, "cpu": CPU, "full": FULL},
    claim=_claim,
    results=results,
    write=write_pages,
)
"""Maheswaranathan et al. 2021."""
