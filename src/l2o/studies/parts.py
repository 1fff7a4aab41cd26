"""Parts that several studies have: meta-training an optimizer, tuning a baseline."""

from pathlib import Path
from typing import NamedTuple, cast

from l2o.deploy import load
from l2o.metatraining import MetaTrainingResult, Progress
from l2o.optimizers import LearnedOptimizer
from l2o.report import tuned_as_dict
from l2o.runs import ComparisonProgress, Recipe, RunFolder, train, tune_baseline
from l2o.runs.making import build_hand_designed
from l2o.studies.work import Report, Timed


class TunedBaseline(Timed):
    """What tuning a hand-designed optimizer found."""

    name: str
    hyperparameters: dict[str, float]
    score: float | None
    sem: float | None
    num_runs: int
    diverged_runs: int
    edges: list[str]
    """Hyperparameters whose best value lies on the edge of what was searched."""
    num_configurations: int
    num_diverged: int
    num_tasks: int
    num_steps: int


Source = Path | TunedBaseline
"""Where an optimizer comes from: the folder of a run, or how it was tuned."""


class MetaTrained(NamedTuple):
    """What came of a meta-training."""

    result: MetaTrainingResult
    resumed_from_step: int
    """Where this process went on."""


def meta_train(report: Report, recipe: Recipe, folder: Path) -> MetaTrained:
    """Meta-trains an optimizer in a run's folder, going on from the last checkpoint."""
    first_step: int | None = None

    def tell(progress: Progress) -> None:
        nonlocal first_step
        first_step = progress.meta_step if first_step is None else first_step
        report(progress.meta_step, progress.meta_steps)

    result = train(recipe, RunFolder(folder), resume=True, on_progress=tell)
    return MetaTrained(result, 0 if first_step is None else first_step - 1)


def tune(
    report: Report, name: str, recipe: Recipe, final_metric: str | None = None
) -> TunedBaseline:
    """Tunes a hand-designed optimizer, as `tune_baseline` does."""

    def tell(progress: ComparisonProgress) -> None:
        report(progress.done, progress.total)

    tuned = tune_baseline(name, recipe, final_metric=final_metric, on_progress=tell)
    return cast(TunedBaseline, tuned_as_dict(tuned))


def optimizer_of(source: Source) -> LearnedOptimizer:
    """An optimizer as it was meta-trained or tuned."""
    if isinstance(source, Path):
        return load(RunFolder(source).optimizer)
    return build_hand_designed(
        source["name"], source["hyperparameters"], num_steps=source["num_steps"]
    )
