"""The flatness of what a run's optimizer finds, beside tuned baselines."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from l2o.evaluation import Summary
from l2o.evaluation.trained_networks import measure, surfaces
from l2o.flatness import LossSurface
from l2o.report import write_flatness
from l2o.report.flatness_page import finding
from l2o.report.plain import plain
from l2o.runs.building import evaluation_key
from l2o.runs.making import build_hand_designed, check_goes_with, load_optimizer, make_family
from l2o.runs.named import as_recipe
from l2o.runs.progress import ComparisonProgress, OnProgress, leave_unseen
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import FlatnessFolder, RunFolder
from l2o.support.checks import check_integer, check_size
from l2o.support.kinds import held_to_kinds
from l2o.support.lock import only_writer
from l2o.support.strict_json import check_is_no_folder, write_json
from l2o.tasks import count_objectives


@dataclass(frozen=True)
class RunFlatness:
    """What was measured where training ends."""

    title: str
    """The task and the number of steps."""
    seed: int
    num_tasks: int
    values: dict[str, dict[str, np.ndarray]]
    """Every metric of every optimizer, a number for each network."""
    summaries: dict[str, dict[str, Summary]]
    """Every metric of every optimizer, over networks."""
    lines: dict[str, LossSurface]
    planes: dict[str, LossSurface]
    folder: FlatnessFolder
    """Where page, figures and numbers are."""

    @property
    def finding(self) -> str:
        """Whether the run's optimizer ends where the loss is flatter than where the others end."""
        return finding(self.values)

    def as_dict(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return plain(
            {
                "title": self.title,
                "seed": self.seed,
                "num_tasks": self.num_tasks,
                "results": [
                    {
                        "name": name,
                        **{
                            metric: {"mean": each.mean, "sem": each.sem, "median": each.median}
                            for metric, each in summaries.items()
                        },
                    }
                    for name, summaries in self.summaries.items()
                ],
            }
        )


@held_to_kinds
def measure_flatness(
    run: RunFolder | Path | str,
    recipe: Recipe | Path | str | None = None,
    *,
    num_tasks: int = 10,
    num_steps: int | None = None,
    out: Path | str | None = None,
    json: Path | str | None = None,
    on_progress: OnProgress = leave_unseen,
) -> RunFlatness:
    """Measures how flat the minima are that a run's optimizer finds: `l2o flatness`.

        measured = runs.measure_flatness("runs/x", num_tasks=10)
        print(measured.summaries["adam"]["spectral_norm"].mean)

    The run's optimizer and its tuned baselines train networks, which are measured where they end.
    Networks are drawn and trained as in the run's latest evaluation, for as many steps as baselines
    were tuned for there, which need not be those of the run's own settings.

    **Arguments:**

    - `run`: a finished run that was evaluated, so that its baselines are tuned; or its folder.
    - `recipe`: or its name; by default the run's.
    - `num_tasks`: networks to train.
    - `num_steps`: by default those of the latest evaluation.
    - `out`: the folder for page, figures and numbers, by default `flatness` in the run.
    - `json`: a further file for the numbers.
    - `on_progress`: called now and then.

    **Raises:** `ValueError` for a run without an optimizer or an evaluation, for tasks whose
    training data do not make one batch, and for a folder that another process is writing into.
    """
    folder = RunFolder.at(run)
    check_is_no_folder(json)
    recipe = (folder.read_recipe() if recipe is None else as_recipe(recipe)).confirm()
    check_size("tasks", num_tasks)
    if num_steps is not None:
        check_size("steps", num_steps)
    target = folder.flatness if out is None else FlatnessFolder(Path(out))
    with only_writer(target.path):
        measured = _measure(recipe, folder, target, num_tasks, num_steps, on_progress)
        write_flatness(
            measured.values,
            measured.lines,
            measured.planes,
            target.page,
            title=measured.title,
            seed=measured.seed,
        )
        for path in (target.numbers, json):
            if path is not None:
                write_json(path, measured.as_dict())
    return measured


def _measure(
    recipe: Recipe,
    folder: RunFolder,
    out: FlatnessFolder,
    num_tasks: int,
    num_steps: int | None,
    on_progress: OnProgress,
) -> RunFlatness:
    """Trains networks as in the latest evaluation and measures them."""
    evaluation = folder.read_evaluation()
    if not folder.optimizer.exists() or evaluation is None:
        raise ValueError(
            f"The run in {folder.path} has no tuned baselines to compare with yet: run `l2o eval "
            f"{folder.path}` first."
        )
    check_size(f"num_steps in {folder.evaluation}", evaluation.get("num_steps"))
    check_integer(f"seed in {folder.evaluation}", evaluation.get("seed"))
    steps: int = evaluation["num_steps"] if num_steps is None else num_steps
    recipe = replace(recipe, seed=evaluation["seed"])
    learned = load_optimizer(recipe, folder)
    optimizers = {learned.title: learned}
    family = make_family(recipe.task, "test")
    check_goes_with(learned, family)
    num_objectives = count_objectives(family)
    for name, hyperparameters in folder.read_tuned().items():
        if name not in optimizers:
            optimizers[name] = build_hand_designed(
                name, hyperparameters, num_objectives, num_steps=steps
            )
    # Said before any network is trained.
    eqx.filter_eval_shape(lambda key: family.sample(key).whole_batch(), jax.random.key(0))
    key = evaluation_key(recipe)
    values, summaries, lines, planes = {}, {}, {}, {}
    for number, (name, optimizer) in enumerate(optimizers.items()):
        on_progress(ComparisonProgress(f"measuring {name}", number, len(optimizers)))
        metrics = measure(optimizer, family, key, num_tasks=num_tasks, num_steps=steps)
        values[name] = metrics
        summaries[name] = {metric: Summary.of(numbers) for metric, numbers in metrics.items()}
        lines[name], planes[name] = (
            surfaces(
                optimizer, family, key, num_tasks=count, num_steps=steps, dimensions=dimensions
            )
            for count, dimensions in ((num_tasks, 1), (1, 2))
        )
    title = f"{family.title}, {steps} steps"
    return RunFlatness(title, recipe.seed, num_tasks, values, summaries, lines, planes, out)
