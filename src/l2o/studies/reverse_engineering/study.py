"""One task's part of the reproduction: meta-training, tuning, comparing, analysing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2o.report.plain import plain
from l2o.runs.compare import (
    ComparisonProgress,
    OnProgress,
    evaluation_key,
    tune_baseline,
)
from l2o.runs.hand_designed import find_hand_designed
from l2o.runs.run_folder import RunFolder
from l2o.runs.train import train
from l2o.studies.reproduction import WorkFolder
from l2o.studies.reverse_engineering.presence import presence
from l2o.studies.reverse_engineering.profiles import Study
from l2o.studies.side_by_side import Job

if TYPE_CHECKING:
    from l2o.evaluation import Evaluation
    from l2o.metatraining import Progress
    from l2o.optimizers import LearnedOptimizer


@dataclass(frozen=True)
class StudyRunner:
    """Does a study, part by part, keeping each part that is done."""

    study: Study
    folder: WorkFolder
    on_progress: OnProgress

    def run(self) -> dict[str, Any]:
        """Does all parts.

        **Returns:** the study's entry in `results.json`.
        """
        study = self.study
        meta_training = [self._meta_training(seed) for seed in study.meta_seeds]
        baselines = self._baselines()
        performance = self._performance()
        mechanisms = [self._mechanisms(seed) for seed in study.meta_seeds]
        distillation = self._distillation()
        return {
            "name": study.name,
            "title": study.family("test").title,
            "objective": study.recipe.training.objective,
            "settings": study.as_dict(),
            "meta_training": meta_training,
            "baselines": baselines,
            "performance": performance,
            "mechanisms": mechanisms,
            "presence": presence(mechanisms),
            "best_momentum": self._best_momentum(),
            "shown_seed": distillation["seed"],
            "distillation": distillation,
            "published": None if study.published is None else study.published.as_dict(),
        }

    def stages(self) -> list[list[Job]]:
        """The same as jobs for several processes, after which `run` finds all parts."""
        name, seeds = self.study.name, self.study.meta_seeds
        return [
            [
                *(
                    Job(f"{name}, meta-training {seed}", partial(self._meta_training, seed))
                    for seed in seeds
                ),
                *(
                    Job(f"{name}, tuned {baseline}", partial(self._baseline, baseline))
                    for baseline in self.study.recipe.evaluation.baselines
                ),
            ],
            [
                *(
                    Job(f"{name}, mechanisms {seed}", partial(self._mechanisms, seed))
                    for seed in seeds
                ),
                Job(f"{name}, comparison", self._performance),
            ],
            [Job(f"{name}, distillation", self._distillation)],
        ]

    def _meta_training(self, seed: int) -> dict[str, Any]:
        return self._part(f"training-{seed}", self._train, seed)

    def _baseline(self, name: str) -> dict[str, Any]:
        return self._part(f"tuning-{name}", self._tune, name)

    def _baselines(self) -> list[dict[str, Any]]:
        return [self._baseline(name) for name in self.study.recipe.evaluation.baselines]

    def _performance(self) -> dict[str, Any]:
        return self._part("performance", self._compare, self._baselines())

    def _mechanisms(self, seed: int) -> dict[str, Any]:
        return self._part(f"mechanisms-{seed}", self._analyse, seed)

    def _distillation(self) -> dict[str, Any]:
        seed = _middle_seed(self._performance())
        return self._part(f"distillation-{seed}", self._distill, seed)

    def _part(
        self, name: str, compute: Callable[[Any], dict[str, Any]], argument: Any
    ) -> dict[str, Any]:
        return self.folder.once(f"{self.study.name}/{name}", lambda: compute(argument))

    def _run_folder(self, seed: int) -> RunFolder:
        return RunFolder(self.folder.path / "runs" / f"{self.study.name}-{seed}")

    def _optimizer(self, seed: int) -> "LearnedOptimizer":
        from l2o.deploy import load

        return load(self._run_folder(seed).optimizer)

    def _train(self, seed: int) -> dict[str, Any]:
        """Meta-trains one optimizer, going on from the last checkpoint."""
        first_step: int | None = None

        def report(progress: "Progress") -> None:
            nonlocal first_step
            first_step = progress.meta_step if first_step is None else first_step
            activity = f"{self.study.name}: meta-training with seed {seed}"
            self.on_progress(ComparisonProgress(activity, progress.meta_step, progress.meta_steps))

        result = train(
            self.study.meta_training(seed),
            self._run_folder(seed),
            resume=True,
            on_progress=report,
        )
        return plain(
            {
                "seed": seed,
                "validation_score": result.best_score,
                "best_step": result.best_step,
                "num_skipped": result.num_skipped,
                # The times below are of the last process alone.
                "resumed_from_step": 0 if first_step is None else first_step - 1,
            }
        )

    def _tune(self, name: str) -> dict[str, Any]:
        """Tunes one baseline on the objective that optimizers are meta-trained on."""
        from l2o.report import tuned_as_dict

        def report(progress: ComparisonProgress) -> None:
            self.on_progress(
                ComparisonProgress(
                    f"{self.study.name}: {progress.activity}", progress.done, progress.total
                )
            )

        tuned = tune_baseline(name, self.study.recipe, on_progress=report)
        return tuned_as_dict(tuned)

    def _compare(self, baselines: list[dict[str, Any]]) -> dict[str, Any]:
        """Runs all optimizers on the same fresh tasks."""
        from l2o.evaluation import evaluate

        settings = self.study.recipe.evaluation
        self.on_progress(ComparisonProgress(f"{self.study.name}: comparing", 0, None))
        hand_designed = _hand_designed(baselines)
        learned = {learned_name(seed): self._optimizer(seed) for seed in self.study.meta_seeds}
        evaluation = evaluate(
            {**learned, **hand_designed},
            self.study.family("test"),
            key=evaluation_key(self.study.recipe),
            num_tasks=settings.num_tasks,
            num_steps=settings.num_steps,
            objective=self.study.recipe.training.build_objective(),
        )
        return plain(
            {
                "num_tasks": settings.num_tasks,
                "num_steps": settings.num_steps,
                "optimizers": [
                    *(
                        {"seed": seed, **_curve(evaluation, learned_name(seed))}
                        for seed in self.study.meta_seeds
                    ),
                    *({"seed": None, **_curve(evaluation, name)} for name in hand_designed),
                ],
                "paired": [
                    _paired(evaluation, seed, baseline)
                    for seed in self.study.meta_seeds
                    for baseline in hand_designed
                ],
            }
        )

    def _analyse(self, seed: int) -> dict[str, Any]:
        """Looks for all mechanisms in one optimizer."""
        import jax

        from l2o.studies.reverse_engineering.analysis import analyse

        self.on_progress(ComparisonProgress(f"{self.study.name}: analysing seed {seed}", 0, None))
        key = jax.random.fold_in(evaluation_key(self.study.recipe), seed)
        return {"seed": seed, **analyse(self._optimizer(seed), self.study, key)}

    def _best_momentum(self) -> dict[str, float] | None:
        """The closed form of the best momentum, where the task has one."""
        from l2o.mechanisms import polyak_momentum

        task = self.study.recipe.completed().task
        if task.name != "quadratic":
            return None
        low, high = task.keywords["log10_eigenvalues"]
        return polyak_momentum(10**low, 10**high)._asdict()

    def _distill(self, seed: int) -> dict[str, Any]:
        """Makes a closed-form optimizer out of one."""
        import jax

        from l2o.runs.distillation import distill_and_judge

        self.on_progress(ComparisonProgress(f"{self.study.name}: distilling seed {seed}", 0, None))
        key = jax.random.fold_in(evaluation_key(self.study.recipe), seed)
        others = _hand_designed(self._baselines())
        distillation = distill_and_judge(self._optimizer(seed), self.study.recipe, key, others)
        return {"seed": seed, **distillation.as_dict()}


def _hand_designed(baselines: list[dict[str, Any]]) -> "dict[str, LearnedOptimizer]":
    """Tuned baselines by name."""
    return {
        each["name"]: find_hand_designed(each["name"]).with_hyperparameters(
            **each["hyperparameters"]
        )
        for each in baselines
    }


def learned_name(seed: int) -> str:
    """What an optimizer is called in the comparison."""
    return f"learned, seed {seed}"


def _curve(evaluation: "Evaluation", name: str) -> dict[str, Any]:
    """One optimizer's objective and mean loss curve over all tasks."""
    runs = evaluation.runs[name]
    summary = evaluation.summary(name, "objective")
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.mean(runs.losses, axis=0, dtype=np.float64)
        sem = np.std(runs.losses, axis=0, ddof=1, dtype=np.float64) / np.sqrt(len(runs.losses))
    return {
        "name": name,
        "objective": {"mean": summary.mean, "sem": summary.sem, "median": summary.median},
        "diverged": int(np.sum(runs.diverged)),
        "mean_loss": mean,
        "sem_loss": sem,
        "median_loss": np.median(runs.losses, axis=0),
    }


def _paired(evaluation: "Evaluation", seed: int, baseline: str) -> dict[str, Any]:
    """A learned optimizer against a baseline on the objective.

    The mean difference is over the problems that both finish, which favours the one that diverges
    more often.
    """
    order = evaluation.compare(learned_name(seed), baseline, "objective")
    finished = order.finished.as_dict()
    return {
        "seed": seed,
        "baseline": baseline,
        **finished,
        "num_finite": finished["num_tasks"],
        "wins": order.wins,
        "num_tasks": order.num_tasks,
        "p_value": order.p_value,
        "better": order.verdict == "better",
    }


def _middle_seed(performance: dict[str, Any]) -> int:
    """The meta-seed with the median objective, the lower one of two: neither best nor worst."""
    learned = [each for each in performance["optimizers"] if each["seed"] is not None]

    def order(each: dict[str, Any]) -> tuple[bool, float]:
        mean = each["objective"]["mean"]
        return (mean is None, 0.0 if mean is None else mean)

    return sorted(learned, key=order)[(len(learned) - 1) // 2]["seed"]
