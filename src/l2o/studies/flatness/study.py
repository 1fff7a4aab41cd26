"""The flatness study, part by part: choosing, meta-training, tuning, judging."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from l2o.composition import Composed
from l2o.report.plain import plain
from l2o.runs.compare import ComparisonProgress, OnProgress, evaluation_key, tune_baseline
from l2o.runs.hand_designed import find_hand_designed
from l2o.runs.making import JudgeOn, make_family
from l2o.runs.recipe import Recipe
from l2o.runs.regularization import Regularization
from l2o.runs.run_folder import RunFolder
from l2o.runs.train import train
from l2o.studies.flatness.meta_training import MetaTraining
from l2o.studies.flatness.profiles import (
    PLAIN,
    VALIDATED,
    Control,
    FlatnessStudy,
    Method,
    Optimizee,
)
from l2o.studies.reproduction import WorkFolder
from l2o.studies.side_by_side import Job

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
        baselines: list[dict[str, Any]] = []
        controls: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        _, left_out = self._available()
        for architecture, taking_part in study.architectures.items():
            learned["learning_rates"][architecture] = self._choose_learning_rate(architecture)
            learned["weights"][architecture] = {
                name: self._choose_weight(architecture, name) for name in taking_part.methods
            }
        for what in self._cells():
            trained, judged = self._train_and_judge(*what)
            learned["meta_training"] += trained
            rows += judged
        for what in self._tunings():
            tuned, judged = self._tune_and_judge(*what)
            baselines.append(tuned)
            rows += judged
        for what in self._controlled_optimizers():
            chosen, judged = self._control_and_judge(*what)
            controls.append(chosen)
            rows += judged
        return {
            **learned,
            "baselines": baselines,
            "controls": controls,
            "left_out": left_out,
            **self._shown(),
            "rows": rows,
        }

    def stages(self) -> list[list[Job]]:
        """The same as jobs for several processes, after which `run` finds all parts."""
        architectures = self.study.architectures.items()
        return [
            [
                Job(f"{name}, learning rate", partial(self._try_rate, name, rate))
                for name, architecture in architectures
                if len(architecture.learning_rates) > 1
                for rate in architecture.learning_rates
            ],
            [
                Job(f"{name}, weight of {method}", partial(self._try_weight, name, method, weight))
                for name, architecture in architectures
                for method in architecture.methods
                if len(self._weights(name, method)) > 1
                for weight in self._weights(name, method)
            ],
            [
                *(
                    Job(f"{what[0]}, {what[1]}", partial(self._train_and_judge, *what))
                    for what in self._cells()
                ),
                *(
                    Job(f"tuned {what[1]}", partial(self._tune_and_judge, *what))
                    for what in self._tunings()
                ),
            ],
            [
                *(
                    Job(f"{what[1]}, {what[0].title}", partial(self._control_and_judge, *what))
                    for what in self._controlled_optimizers()
                ),
                Job("loss surfaces", self._shown),
            ],
        ]

    def _cells(self) -> list[tuple[str, str, bool]]:
        """What is meta-trained: architecture, method, and whether by enhanced training."""
        return [
            (name, method, enhanced)
            for name, architecture in self.study.architectures.items()
            for enhanced in (False, True)
            for method in (architecture.enhanced if enhanced else architecture.methods)
        ]

    def _tunings(self) -> list[tuple[Optimizee, str, str | None]]:
        """What is tuned: kind of network, baseline, and the metric if not the training loss."""
        study = self.study
        return [
            (optimizee, name, final_metric)
            for optimizee in self._available()[0]
            for names, final_metric in (
                (study.baselines, None),
                (study.validated_baselines, "validation_loss"),
            )
            for name in names
        ]

    def _controlled_optimizers(self) -> list[tuple[Control, str]]:
        """Controls, and the architecture or baseline that they are tried with."""
        return [
            (control, name)
            for control in self.study.controls
            for name in (self.study.first_architecture, *self.study.baselines)
        ]

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
        rates = self.study.architectures[architecture].learning_rates
        if len(rates) == 1:
            return {"chosen": rates[0], "tried": []}
        tried = [self._try_rate(architecture, rate) for rate in rates]
        return {"chosen": _lowest(tried, "score")["learning_rate"], "tried": tried}

    def _try_rate(self, architecture: str, rate: float) -> dict[str, Any]:
        method = self.study.find_method(PLAIN)
        what = MetaTraining(
            architecture, method.regularization, False, rate, self.study.meta_seeds[0]
        )
        return {"learning_rate": rate, "score": self._train(what, method)["score"]}

    def _choose_weight(self, architecture: str, name: str) -> dict[str, Any]:
        """Tries a method's weights, by the validation split."""
        weights = self._weights(architecture, name)
        if len(weights) < 2:
            return {"chosen": weights[0] if weights else None, "tried": []}
        tried = [self._try_weight(architecture, name, weight) for weight in weights]
        return {"chosen": _lowest(tried, "validation_loss")["weight"], "tried": tried}

    def _weights(self, architecture: str, name: str) -> tuple[float, ...]:
        """To choose from."""
        taking_part = self.study.architectures[architecture]
        return taking_part.weights.get(name, self.study.find_method(name).weights)

    def _try_weight(self, architecture: str, name: str, weight: float) -> dict[str, Any]:
        method = self.study.find_method(name)
        rate = self._choose_learning_rate(architecture)["chosen"]
        settings = method.with_weight(weight)
        what = MetaTraining(architecture, settings, False, rate, self.study.meta_seeds[0])
        self._train(what, method)
        return {"weight": weight, **self._validate(what.name, self._load(what), None, None)}

    def _meta_trainings(self, architecture: str, name: str, enhanced: bool) -> list[MetaTraining]:
        """Those of a method with what was chosen for it, one for each meta-seed."""
        weight = self._choose_weight(architecture, name)["chosen"]
        settings = self.study.find_method(name).with_weight(weight)
        rate = self._choose_learning_rate(architecture)["chosen"]
        return [
            MetaTraining(architecture, settings, enhanced, rate, seed)
            for seed in self.study.meta_seeds
        ]

    def _train_and_judge(
        self, architecture: str, name: str, enhanced: bool
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Meta-trains with a method, and lets what comes out train networks of all kinds."""
        method = self.study.find_method(name)
        trained, rows = [], []
        for what in self._meta_trainings(architecture, name, enhanced):
            trained.append(self._train(what, method))
            for optimizee in self._available()[0]:
                rows += self._judge_learned(what, method, optimizee)
        return trained, rows

    def _validate(
        self,
        name: str,
        optimizer: "LearnedOptimizer",
        control: Control | None,
        strength: float | None,
    ) -> dict[str, Any]:
        """The loss on the validation split of networks of the kind that was meta-trained on."""
        from l2o.evaluation.trained_networks import measure

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
        first = self.study.first_architecture
        what = MetaTraining(first, Regularization(), False, 0.0, self.study.seed)
        return what.recipe(self.study)

    def _train(self, what: MetaTraining, method: Method) -> dict[str, Any]:
        """Meta-trains an optimizer, unless it is there."""
        kind = "enhanced meta-training" if what.enhanced else "meta-training"
        activity = f"{kind} {what.architecture}, {method.title}, seed {what.seed}"

        def report(progress: "Progress") -> None:
            self.on_progress(ComparisonProgress(activity, progress.meta_step, progress.meta_steps))

        def run() -> dict[str, Any]:
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
        from l2o.evaluation.trained_networks import measure

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

    def _tune_and_judge(
        self, optimizee: Optimizee, optimizer: str, final_metric: str | None
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Tunes a hand-designed optimizer for a kind of network, and lets it train some."""
        tuned = self._tune(optimizee, optimizer, final_metric)
        return tuned, self._judge_baseline(tuned, optimizee)

    def _tune(
        self, optimizee: Optimizee, optimizer: str, final_metric: str | None = None
    ) -> dict[str, Any]:
        """Tunes for the training loss, or for a metric of the validation split."""
        from l2o.report import tuned_as_dict

        recipe = replace(self._recipe(), task=optimizee.task)

        def report(progress: ComparisonProgress) -> None:
            activity = f"{optimizee.name}: {progress.activity}"
            self.on_progress(ComparisonProgress(activity, progress.done, progress.total))

        def tune() -> dict[str, Any]:
            return tuned_as_dict(
                tune_baseline(optimizer, recipe, final_metric=final_metric, on_progress=report)
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

    def _control_and_judge(
        self, control: Control, name: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Tries a control with the plain learned optimizer or with a baseline.

        Strengths are chosen like weights. Baselines keep what they were tuned to without controls.
        """
        optimizees = self._available()[0]
        rows = []
        if name == self.study.first_architecture:
            trained = self._meta_trainings(name, PLAIN, False)
            found = self._choose_strength(trained[0].name, self._load(trained[0]), control)
            for optimizee in optimizees:
                for what in trained:
                    method = self.study.find_method(PLAIN)
                    rows += self._judge_learned(what, method, optimizee, control, found["chosen"])
        else:
            # The first kind is that of meta-training, and so of validation.
            first = _built(self._tune(optimizees[0], name))
            found = self._choose_strength(name, first, control)
            for optimizee in optimizees:
                tuned = self._tune(optimizee, name)
                rows += self._judge_baseline(tuned, optimizee, control, found["chosen"])
        return {"architecture": name, "control": control.name, **found}, rows

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

    def _shown(self) -> dict[str, Any]:
        """The bounds along a few trainings, and the loss surfaces where they end."""
        from l2o.evaluation.trained_networks import surfaces
        from l2o.studies.flatness.bounds import bounds_along_training

        study = self.study
        architecture = study.first_architecture
        optimizee = self._available()[0][0]
        optimizers = {}
        for name in study.shown_methods:
            first, *_ = self._meta_trainings(architecture, name, False)
            title = study.find_method(name).title
            optimizers[f"{architecture}, {title}"] = self._load(first)
        shown = self._tune(optimizee, study.shown_baseline)
        optimizers[f"tuned {study.shown_baseline}"] = _built(shown)
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
def _family(task: Composed, judge_on: JudgeOn) -> "TaskFamily":
    """A family of tasks, whose data are read once."""
    return make_family(task, judge_on)


def _controlled(
    task: Composed, control: Control | None, strength: float | None, judge_on: JudgeOn
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
