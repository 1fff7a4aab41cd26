"""The flatness study, part by part: choosing weights, meta-training, tuning, judging."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from l2o.recipes.compare import ComparisonProgress, OnProgress, evaluation_key, tune_baseline
from l2o.recipes.evaluation_settings import find_hand_designed
from l2o.recipes.flatness.profiles import FlatnessStudy, Method, Optimizee
from l2o.recipes.regularization_settings import RegularizationSettings
from l2o.recipes.reproduction import WorkFolder
from l2o.recipes.run_folder import RunFolder
from l2o.recipes.train import train
from l2o.report.plain import plain

if TYPE_CHECKING:
    from l2o.metatraining import Progress
    from l2o.optimizers import LearnedOptimizer

METRICS = (
    "train_loss",
    "test_loss",
    "test_accuracy",
    "spectral_norm",
    "trace",
    "relative_trace",
    "entropy_gap",
)
"""What every trained network is judged by."""


@dataclass(frozen=True)
class FlatnessRunner:
    """Does the study, keeping each part that is done."""

    study: FlatnessStudy
    folder: WorkFolder
    on_progress: OnProgress

    def run(self) -> dict[str, Any]:
        """Does all parts.

        **Returns:** `weights`, what was tried and chosen; `rows`, one for each network trained;
        and `baselines`, how they were tuned.
        """
        study = self.study
        weights = {method.name: self._choose_weight(method) for method in study.methods}
        rows: list[dict[str, Any]] = []
        trained: list[dict[str, Any]] = []
        for architecture, methods in self._cells():
            for method in methods:
                settings = method.with_weight(weights[method.name]["chosen"])
                for seed in study.meta_seeds:
                    trained.append(self._train(architecture, method, settings, seed))
                    for optimizee in study.optimizees:
                        rows += self._judge(architecture, method, settings, seed, optimizee)
        baselines = []
        for optimizee in study.optimizees:
            for name in study.baselines:
                tuned, judged = self._baseline(optimizee, name)
                baselines.append(tuned)
                rows += judged
        return {"weights": weights, "meta_training": trained, "baselines": baselines, "rows": rows}

    def _cells(self) -> list[tuple[str, list[Method]]]:
        """The methods of each architecture."""
        first, *others = self.study.architectures
        few = [method for method in self.study.methods if method.name in self.study.few_methods]
        return [(first, list(self.study.methods)), *((other, few) for other in others)]

    def _choose_weight(self, method: Method) -> dict[str, Any]:
        """Tries a method's weights on validation tasks, for the first architecture."""
        if len(method.weights) < 2:
            return {"chosen": method.weights[0] if method.weights else None, "tried": []}
        architecture = next(iter(self.study.architectures))
        seed = self.study.meta_seeds[0]
        tried = []
        for weight in method.weights:
            settings = method.with_weight(weight)
            self._train(architecture, method, settings, seed)
            found = self.folder.once(
                f"validation/{method.name}-{weight:g}",
                lambda settings=settings: self._validate(architecture, settings, seed),
            )
            tried.append({"weight": weight, **found})
        finite = [each for each in tried if each["validation_loss"] is not None] or tried
        chosen = min(finite, key=lambda each: each["validation_loss"] or np.inf)
        return {"chosen": chosen["weight"], "tried": tried}

    def _validate(
        self, architecture: str, settings: RegularizationSettings, seed: int
    ) -> dict[str, Any]:
        """The loss on the validation split of networks of the kind that was meta-trained on."""
        from l2o.recipes.flatness.measure import measure

        study = self.study
        found = measure(
            self._optimizer(architecture, settings, seed),
            study.training_task.family(judge_on="validation"),
            evaluation_key(study.recipe(architecture, settings, 0)),
            num_tasks=study.validation_tasks,
            num_steps=study.num_steps,
        )
        return plain({name: np.mean(found[name]) for name in ("validation_loss", "train_loss")})

    def _run_folder(
        self, architecture: str, settings: RegularizationSettings, seed: int
    ) -> RunFolder:
        """Where a meta-training is, by what decides it."""
        flat = {
            name: value
            for name, value in vars(settings).items()
            if value != getattr(RegularizationSettings(), name)
        }
        parts = [architecture, *(f"{name}={value}" for name, value in flat.items()), str(seed)]
        return RunFolder(self.folder.path / "runs" / "-".join(parts))

    def _optimizer(
        self, architecture: str, settings: RegularizationSettings, seed: int
    ) -> "LearnedOptimizer":
        from l2o.deploy import load

        return load(self._run_folder(architecture, settings, seed).optimizer)

    def _train(
        self, architecture: str, method: Method, settings: RegularizationSettings, seed: int
    ) -> dict[str, Any]:
        """Meta-trains one optimizer, unless it is there."""
        folder = self._run_folder(architecture, settings, seed)
        activity = f"meta-training {architecture}, {method.title}, seed {seed}"

        def report(progress: "Progress") -> None:
            self.on_progress(ComparisonProgress(activity, progress.meta_step, progress.meta_steps))

        def run() -> dict[str, Any]:
            import jax

            # Each meta-training compiles programs of its own; hundreds of them would use up the
            # memory maps that a process may have.
            jax.clear_caches()
            recipe = self.study.recipe(architecture, settings, seed)
            result = train(recipe, folder, resume=True, on_progress=report)
            return plain({"score": result.best_score, "num_skipped": result.num_skipped})

        part = self.folder.once(f"training/{folder.path.name}", run)
        return {"architecture": architecture, "regularizer": method.name, "meta_seed": seed, **part}

    def _judge(
        self,
        architecture: str,
        method: Method,
        settings: RegularizationSettings,
        seed: int,
        optimizee: Optimizee,
    ) -> list[dict[str, Any]]:
        """Lets an optimizer train networks of one kind."""
        self.on_progress(
            ComparisonProgress(f"judging {architecture}, {method.title}, {optimizee.name}", 0, None)
        )
        name = f"{self._run_folder(architecture, settings, seed).path.name}/{optimizee.name}"
        part = self.folder.once(
            f"judged/{name}",
            lambda: self._measure(self._optimizer(architecture, settings, seed), optimizee),
        )
        return _rows(
            part,
            architecture=architecture,
            regularizer=method.name,
            enhanced=False,
            optimizee=optimizee.name,
            meta_seed=seed,
        )

    def _measure(self, optimizer: "LearnedOptimizer", optimizee: Optimizee) -> dict[str, Any]:
        """All metrics of fresh networks of one kind, on the test split."""
        from l2o.recipes.flatness.measure import measure

        first = next(iter(self.study.architectures))
        recipe = self.study.recipe(first, RegularizationSettings(), 0)
        found = measure(
            optimizer,
            optimizee.task.family(judge_on="test"),
            evaluation_key(recipe),
            num_tasks=self.study.num_seeds,
            num_steps=self.study.num_steps,
        )
        return plain({metric: found[metric] for metric in METRICS})

    def _baseline(
        self, optimizee: Optimizee, name: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Tunes a hand-designed optimizer for one kind of network, and lets it train some."""
        from dataclasses import replace

        from l2o.report import tuned_as_dict

        first = next(iter(self.study.architectures))
        recipe = replace(self.study.recipe(first, RegularizationSettings(), 0), task=optimizee.task)

        def report(progress: ComparisonProgress) -> None:
            activity = f"{optimizee.name}: {progress.activity}"
            self.on_progress(ComparisonProgress(activity, progress.done, progress.total))

        hand_designed = find_hand_designed(name)
        tuned = self.folder.once(
            f"tuning/{optimizee.name}-{name}",
            lambda: tuned_as_dict(tune_baseline(hand_designed, recipe, on_progress=report)),
        )
        optimizer = hand_designed.with_hyperparameters(**tuned["hyperparameters"])
        part = self.folder.once(
            f"judged/{name}/{optimizee.name}", lambda: self._measure(optimizer, optimizee)
        )
        rows = _rows(
            part,
            architecture=name,
            regularizer=None,
            enhanced=False,
            optimizee=optimizee.name,
            meta_seed=None,
        )
        return {"optimizee": optimizee.name, **tuned}, rows


def _rows(part: dict[str, Any], **cell: Any) -> list[dict[str, Any]]:
    """One row for each network."""
    count = len(part[METRICS[0]])
    return [
        {**cell, "seed": seed, **{metric: part[metric][seed] for metric in METRICS}}
        for seed in range(count)
    ]
