"""The flatness of what a run's optimizer finds, beside tuned baselines."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from l2o.runs.compare import ComparisonProgress, OnProgress, evaluation_key
from l2o.runs.making import load_optimizer, make_family
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from l2o.evaluation import Summary
    from l2o.flatness import LossSurface


@dataclass(frozen=True)
class RunFlatness:
    """What was measured where training ends."""

    title: str
    """The task and the number of steps."""
    seed: int
    num_tasks: int
    summaries: "dict[str, dict[str, Summary]]"
    """Every metric of every optimizer, over networks."""
    lines: "dict[str, LossSurface]"
    planes: "dict[str, LossSurface]"

    def as_dict(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        from l2o.report.plain import plain

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


def flatness_of_run(
    recipe: Recipe,
    folder: RunFolder,
    *,
    num_tasks: int,
    num_steps: int | None,
    on_progress: OnProgress,
) -> RunFlatness:
    """Lets a run's optimizer and its tuned baselines train networks, and measures where they end.

    Networks are drawn and trained as in the run's latest evaluation, for as many steps as baselines
    were tuned for there, which need not be those of the run's own settings.

    **Arguments:** `recipe`, the run's; `folder`, of a finished run that was evaluated, so that its
    baselines are tuned;
    `num_tasks`, networks to train; `num_steps`, by default those of the latest evaluation;
    `on_progress`, called now and then.

    **Raises:** `ValueError` for a folder without an optimizer or an evaluation, and for tasks whose
    training data do not make one batch.
    """
    from l2o.evaluation import Summary
    from l2o.evaluation.trained_networks import measure, surfaces
    from l2o.runs.explanations import tuned_in
    from l2o.runs.hand_designed import build_hand_designed
    from l2o.support.checks import check_integer, check_size
    from l2o.tasks import count_objectives

    check_size("tasks", num_tasks)
    if num_steps is not None:
        check_size("steps", num_steps)
    evaluation = folder.read_evaluation()
    if not folder.optimizer.exists() or evaluation is None:
        raise ValueError(
            f"The run in {folder.path} has no tuned baselines to compare with yet: run `l2o eval "
            f"{folder.path}` first."
        )
    check_size(f"num_steps in {folder.evaluation}", evaluation.get("num_steps"))
    check_integer(f"seed in {folder.evaluation}", evaluation.get("seed"))
    steps = evaluation["num_steps"] if num_steps is None else num_steps
    recipe = replace(recipe, seed=evaluation["seed"])
    learned = load_optimizer(recipe.optimizer, folder.optimizer)
    optimizers = {learned.title: learned}
    family = make_family(recipe.task, "test")
    num_objectives = count_objectives(family)
    for name, hyperparameters in tuned_in(folder).items():
        if name not in optimizers:
            optimizers[name] = build_hand_designed(name, hyperparameters, num_objectives)
    key = evaluation_key(recipe)
    summaries, lines, planes = {}, {}, {}
    for number, (name, optimizer) in enumerate(optimizers.items()):
        on_progress(ComparisonProgress(f"measuring {name}", number, len(optimizers)))
        found = measure(optimizer, family, key, num_tasks=num_tasks, num_steps=steps)
        summaries[name] = {metric: Summary.of(values) for metric, values in found.items()}
        lines[name], planes[name] = (
            surfaces(
                optimizer, family, key, num_tasks=count, num_steps=steps, dimensions=dimensions
            )
            for count, dimensions in ((num_tasks, 1), (1, 2))
        )
    title = f"{family.title}, {steps} steps"
    return RunFlatness(title, recipe.seed, num_tasks, summaries, lines, planes)
