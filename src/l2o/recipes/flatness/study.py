"""The flatness study, part by part: choosing, meta-training, tuning, judging."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from l2o.recipes.compare import ComparisonProgress, OnProgress, evaluation_key, tune_baseline
from l2o.recipes.evaluation_settings import find_hand_designed
from l2o.recipes.flatness.meta_training import MetaTraining
from l2o.recipes.flatness.profiles import (
    PLAIN,
    VALIDATED,
    Control,
    FlatnessStudy,
    Method,
    Optimizee,
)
from l2o.recipes.recipe import Recipe
from l2o.recipes.regularization_settings import RegularizationSettings
from l2o.recipes.reproduction import WorkFolder
from l2o.recipes.run_folder import RunFolder
from l2o.recipes.runtime import forget_programs_if_many
from l2o.recipes.task_settings import JudgeOn, TaskSettings
from l2o.recipes.train import train
from l2o.report.plain import plain

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    from l2o.metatraining import Progress
    from l2o.optimizers import LearnedOptimizer
    from l2o.tasks import TaskFamily

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

AT_LEVELS = ("steps", "test_loss", "test_accuracy")
"""What it is judged by where its training loss first is below a level."""

_POINTS = 9
"""Where the bounds are looked at along a training."""


@dataclass(frozen=True)
class FlatnessRunner:
    """Does the study, keeping each part that is done."""

    study: FlatnessStudy
    folder: WorkFolder
    on_progress: OnProgress

    def run(self) -> dict[str, Any]:
        """Does all parts.

        **Returns:** `learning_rates` and `weights`, what was tried and chosen for each
        architecture; `meta_training`, of each; `baselines`, how they were tuned; `controls`, the
        strengths that were tried and chosen for each optimizer; `rows`, one for each network
        trained; `bounds` along trainings and `surfaces` at their ends; and `left_out`, kinds of
        networks whose data are not there.
        """
        study = self.study
        learned: dict[str, Any] = {"learning_rates": {}, "weights": {}, "meta_training": []}
        rows: list[dict[str, Any]] = []
        optimizees, left_out = self._available()
        for architecture, taking_part in study.architectures.items():
            rate = self._choose_learning_rate(architecture)
            learned["learning_rates"][architecture] = rate
            chosen = learned["weights"][architecture] = {}
            for name in taking_part.methods:
                chosen[name] = self._choose_weight(architecture, name, rate["chosen"])
            for enhanced, names in ((False, taking_part.methods), (True, taking_part.enhanced)):
                for name in names:
                    method = study.find_method(name)
                    settings = method.with_weight(chosen[name]["chosen"])
                    for seed in study.meta_seeds:
                        what = MetaTraining(architecture, settings, enhanced, rate["chosen"], seed)
                        learned["meta_training"].append(self._train(what, method))
                        for optimizee in optimizees:
                            rows += self._judge_learned(what, method, optimizee)
        baselines, tuned_rows = self._baselines(optimizees)
        first = next(iter(study.architectures))
        rate = learned["learning_rates"][first]["chosen"]
        controls, controlled_rows = self._controls(optimizees, baselines, first, rate)
        shown = self._shown(optimizees[0], baselines, first, rate, learned["weights"][first])
        return {
            **learned,
            "baselines": baselines,
            "controls": controls,
            "left_out": left_out,
            **shown,
            "rows": rows + tuned_rows + controlled_rows,
        }

    def _available(self) -> tuple[list[Optimizee], list[str]]:
        """The kinds of networks whose data are there, and the names of the others."""
        from l2o.tasks.datasets import DataError

        there, left_out = [], []
        for optimizee in self.study.optimizees:
            try:
                _family(optimizee.task, "test")
            except DataError:
                left_out.append(optimizee.name)
            else:
                there.append(optimizee)
        return there, left_out

    def _choose_learning_rate(self, architecture: str) -> dict[str, Any]:
        """Tries learning rates of meta-training without regularizers, on validation tasks."""
        method = self.study.find_method(PLAIN)
        tried = []
        for rate in self.study.architectures[architecture].learning_rates:
            what = MetaTraining(
                architecture, method.settings, False, rate, self.study.meta_seeds[0]
            )
            tried.append({"learning_rate": rate, "score": self._train(what, method)["score"]})
        return {"chosen": _lowest(tried, "score")["learning_rate"], "tried": tried}

    def _choose_weight(self, architecture: str, name: str, rate: float) -> dict[str, Any]:
        """Tries a method's weights, by the validation split."""
        method = self.study.find_method(name)
        weights = self.study.architectures[architecture].weights.get(name, method.weights)
        if len(weights) < 2:
            return {"chosen": weights[0] if weights else None, "tried": []}
        tried = []
        for weight in weights:
            settings = method.with_weight(weight)
            what = MetaTraining(architecture, settings, False, rate, self.study.meta_seeds[0])
            self._train(what, method)
            found = self._validate(what.name, self._load(what), None, None)
            tried.append({"weight": weight, **found})
        return {"chosen": _lowest(tried, "validation_loss")["weight"], "tried": tried}

    def _validate(
        self,
        name: str,
        optimizer: "LearnedOptimizer",
        control: Control | None,
        strength: float | None,
    ) -> dict[str, Any]:
        """The loss on the validation split of networks of the kind that was meta-trained on."""
        from l2o.recipes.flatness.measure import measure

        study = self.study
        task = study.training_task

        def validate() -> dict[str, Any]:
            found = measure(
                optimizer,
                _family(task, "validation"),
                self._key(),
                num_tasks=study.validation_tasks,
                num_steps=study.num_steps,
                trained_on=_controlled(task, control, strength, "validation"),
            )
            return plain({name: np.mean(found[name]) for name in ("validation_loss", "train_loss")})

        suffix = "" if control is None else f"-{control.name}={strength:g}"
        return self.folder.once(f"validation/{name}{suffix}", validate)

    def _run_folder(self, what: MetaTraining) -> RunFolder:
        return RunFolder(self.folder.path / "runs" / what.name)

    def _load(self, what: MetaTraining) -> "LearnedOptimizer":
        from l2o.deploy import load

        return load(self._run_folder(what).optimizer)

    def _key(self) -> "PRNGKeyArray":
        """Of all tasks to validate and to judge on."""
        return evaluation_key(self._recipe())

    def _recipe(self) -> Recipe:
        """How networks are trained, whatever the optimizer."""
        first = next(iter(self.study.architectures))
        what = MetaTraining(first, RegularizationSettings(), False, 0.0, self.study.seed)
        return what.recipe(self.study)

    def _train(self, what: MetaTraining, method: Method) -> dict[str, Any]:
        """Meta-trains an optimizer, unless it is there."""
        kind = "enhanced meta-training" if what.enhanced else "meta-training"
        activity = f"{kind} {what.architecture}, {method.title}, seed {what.seed}"

        def report(progress: "Progress") -> None:
            self.on_progress(ComparisonProgress(activity, progress.meta_step, progress.meta_steps))

        def run() -> dict[str, Any]:
            forget_programs_if_many()
            recipe = what.recipe(self.study)
            result = train(recipe, self._run_folder(what), resume=True, on_progress=report)
            return plain(
                {
                    "score": result.best_score,
                    "num_skipped": result.num_skipped,
                    "meta_steps": sum(row["meta_step"] > 0 for row in result.history),
                    "imitating": sum(row.get("imitation", 0) for row in result.history),
                }
            )

        part = self.folder.once(f"training/{what.name}", run)
        return {
            "architecture": what.architecture,
            "regularizer": method.name,
            "enhanced": what.enhanced,
            "learning_rate": what.learning_rate,
            "meta_seed": what.seed,
            **part,
        }

    def _judge_learned(
        self,
        what: MetaTraining,
        method: Method,
        optimizee: Optimizee,
        control: Control | None = None,
        strength: float | None = None,
    ) -> list[dict[str, Any]]:
        """Lets an optimizer train networks of one kind."""
        return self._judge(
            what.name,
            lambda: self._load(what),
            optimizee,
            control,
            strength,
            architecture=what.architecture,
            regularizer=method.name,
            enhanced=what.enhanced,
            meta_seed=what.seed,
        )

    def _judge(
        self,
        name: str,
        load: Callable[[], "LearnedOptimizer"],
        optimizee: Optimizee,
        control: Control | None,
        strength: float | None,
        **cell: Any,
    ) -> list[dict[str, Any]]:
        """All metrics of fresh networks of one kind, on the test split, one row for each."""
        from l2o.recipes.flatness.measure import measure

        study = self.study
        suffix = "" if control is None else f"-{control.name}={strength:g}"
        self.on_progress(ComparisonProgress(f"judging {name}{suffix} on {optimizee.name}", 0, None))

        def judge() -> dict[str, Any]:
            found = measure(
                load(),
                _family(optimizee.task, "test"),
                self._key(),
                num_tasks=study.num_seeds,
                num_steps=study.num_steps,
                trained_on=_controlled(optimizee.task, control, strength, "test"),
                levels=study.levels,
            )
            return plain({metric: found[metric] for metric in metrics_of(study)})

        part = self.folder.once(f"judged/{name}{suffix}/{optimizee.name}", judge)
        return [
            {
                **cell,
                "optimizee": optimizee.name,
                "control": None if control is None else control.name,
                "seed": seed,
                **{metric: part[metric][seed] for metric in metrics_of(study)},
            }
            for seed in range(study.num_seeds)
        ]

    def _baselines(
        self, optimizees: Sequence[Optimizee]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Tunes hand-designed optimizers for each kind of network, and lets them train some."""
        tuned, rows = [], []
        for optimizee in optimizees:
            for names, final_metric in (
                (self.study.baselines, None),
                (self.study.validated_baselines, "validation_loss"),
            ):
                for name in names:
                    tuned.append(self._tune(optimizee, name, final_metric))
                    rows += self._judge_baseline(tuned[-1], optimizee)
        return tuned, rows

    def _tune(
        self, optimizee: Optimizee, optimizer: str, final_metric: str | None
    ) -> dict[str, Any]:
        """Tunes for the training loss, or for a metric of the validation split."""
        from l2o.report import tuned_as_dict

        recipe = replace(self._recipe(), task=optimizee.task)

        def report(progress: ComparisonProgress) -> None:
            activity = f"{optimizee.name}: {progress.activity}"
            self.on_progress(ComparisonProgress(activity, progress.done, progress.total))

        def tune() -> dict[str, Any]:
            hand_designed = find_hand_designed(optimizer)
            return tuned_as_dict(
                tune_baseline(hand_designed, recipe, final_metric=final_metric, on_progress=report)
            )

        name = optimizer if final_metric is None else VALIDATED.format(optimizer)
        tuned = self.folder.once(f"tuning/{optimizee.name}-{name}", tune)
        return {**tuned, "optimizee": optimizee.name, "name": name, "optimizer": optimizer}

    def _judge_baseline(
        self,
        tuned: dict[str, Any],
        optimizee: Optimizee,
        control: Control | None = None,
        strength: float | None = None,
    ) -> list[dict[str, Any]]:
        return self._judge(
            tuned["name"],
            lambda: _built(tuned),
            optimizee,
            control,
            strength,
            architecture=tuned["name"],
            regularizer=None,
            enhanced=False,
            meta_seed=None,
        )

    def _controls(
        self,
        optimizees: Sequence[Optimizee],
        baselines: Sequence[dict[str, Any]],
        architecture: str,
        rate: float,
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Tries controls with the plain learned optimizer and the baselines.

        Strengths are chosen like weights. Baselines keep what they were tuned to without controls.
        """
        study = self.study
        method = study.find_method(PLAIN)
        trained = [
            MetaTraining(architecture, method.settings, False, rate, seed)
            for seed in study.meta_seeds
        ]
        chosen, rows = [], []
        for control in study.controls:
            found = self._choose_strength(trained[0].name, self._load(trained[0]), control)
            chosen.append({"architecture": architecture, "control": control.name, **found})
            for optimizee in optimizees:
                for what in trained:
                    rows += self._judge_learned(what, method, optimizee, control, found["chosen"])
            for name in study.baselines:
                of_kind = {each["optimizee"]: each for each in baselines if each["name"] == name}
                # The first kind is that of meta-training, and so of validation.
                found = self._choose_strength(name, _built(of_kind[optimizees[0].name]), control)
                chosen.append({"architecture": name, "control": control.name, **found})
                for optimizee in optimizees:
                    tuned = of_kind[optimizee.name]
                    rows += self._judge_baseline(tuned, optimizee, control, found["chosen"])
        return chosen, rows

    def _choose_strength(
        self, name: str, optimizer: "LearnedOptimizer", control: Control
    ) -> dict[str, Any]:
        if len(control.strengths) == 1:
            return {"chosen": control.strengths[0], "tried": []}
        tried = [
            {"strength": strength, **self._validate(name, optimizer, control, strength)}
            for strength in control.strengths
        ]
        return {"chosen": _lowest(tried, "validation_loss")["strength"], "tried": tried}

    def _shown(
        self,
        optimizee: Optimizee,
        baselines: Sequence[dict[str, Any]],
        architecture: str,
        rate: float,
        weights: dict[str, Any],
    ) -> dict[str, Any]:
        """The bounds along a few trainings, and the loss surfaces where they end."""
        from l2o.recipes.flatness.bounds import bounds_along_training
        from l2o.recipes.flatness.measure import surfaces

        study = self.study
        optimizers = {}
        for name in study.shown_methods:
            method = study.find_method(name)
            settings = method.with_weight(weights[name]["chosen"])
            what = MetaTraining(architecture, settings, False, rate, study.meta_seeds[0])
            optimizers[f"{architecture}, {method.title}"] = self._load(what)
        for tuned in baselines:
            if (tuned["optimizee"], tuned["name"]) == (optimizee.name, study.shown_baseline):
                optimizers[f"tuned {tuned['name']}"] = _built(tuned)
        given = {"num_tasks": study.shown_networks, "num_steps": study.num_steps}
        bounds, slices = {}, {}
        for title, optimizer in optimizers.items():
            self.on_progress(ComparisonProgress(f"looking around: {title}", 0, None))
            arguments = (optimizer, _family(optimizee.task, "test"), self._key())

            def along(arguments: Any = arguments) -> dict[str, Any]:
                return plain(bounds_along_training(*arguments, num_points=_POINTS, **given))

            def around(arguments: Any = arguments) -> dict[str, Any]:
                found = {}
                for dimensions in (1, 2):
                    surface = surfaces(*arguments, dimensions=dimensions, **given)
                    losses = np.asarray(surface.losses)
                    found[f"{dimensions}"] = {
                        "coordinates": np.asarray(surface.coordinates)[0],
                        # Of planes, only the first is drawn.
                        "losses": losses if dimensions == 1 else losses[:1],
                    }
                return plain(found)

            bounds[title] = self.folder.once(f"bounds/{title}", along)
            slices[title] = self.folder.once(f"surfaces/{title}", around)
        return {"bounds": bounds, "surfaces": slices}


def metrics_of(study: FlatnessStudy) -> list[str]:
    """The metrics of every row."""
    return [*METRICS, *(f"{name}_at_{level:g}" for level in study.levels for name in AT_LEVELS)]


@cache
def _family(task: TaskSettings, judge_on: JudgeOn) -> "TaskFamily":
    """A family of tasks, whose data are read once."""
    return task.family(judge_on=judge_on)


def _controlled(
    task: Any, control: Control | None, strength: float | None, judge_on: JudgeOn
) -> "TaskFamily | None":
    """The family with a control, if there is one."""
    if control is None or strength is None:
        return None
    return _family(control.apply(task, strength), judge_on)


def _built(tuned: dict[str, Any]) -> "LearnedOptimizer":
    """A baseline as it was tuned."""
    return find_hand_designed(tuned["optimizer"]).with_hyperparameters(**tuned["hyperparameters"])


def _lowest(tried: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The choice with the lowest metric; what is not finite is the worst."""
    return min(tried, key=lambda each: np.inf if each[metric] is None else each[metric])
