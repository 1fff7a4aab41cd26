"""The study, part by part: meta-training, tuning, judging."""

from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from l2o.composition import Composed
from l2o.report.plain import plain
from l2o.runs.compare import ComparisonProgress, OnProgress
from l2o.runs.making import make_family
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import RunFolder
from l2o.runs.train import train
from l2o.studies.multi_objective.profiles import MultiObjectiveStudy, NetworkFamily
from l2o.studies.reproduction import WorkFolder
from l2o.studies.side_by_side import Job

if TYPE_CHECKING:
    from l2o.metatraining import Progress
    from l2o.optimizers import LearnedOptimizer

LEARNED = ("ML2O", "GML2O", "GML2O at intervals", "plain ML2O")
"""The learned methods."""


def available_families(study: MultiObjectiveStudy) -> tuple[list[NetworkFamily], list[str]]:
    """The families of networks whose data are there, and the names of the others.

    **Raises:** `DataError` if none are there.
    """
    from l2o.tasks.datasets import DataError

    there: list[NetworkFamily] = []
    missing: dict[str, DataError] = {}
    for family in study.networks.families:
        try:
            make_family(family.task, "validation")
        except DataError as error:
            missing[family.name] = error
        else:
            there.append(family)
    if not there:
        raise next(iter(missing.values()))
    return there, list(missing)


@dataclass(frozen=True)
class MultiObjectiveRunner:
    """Does the study, keeping each part that is done."""

    study: MultiObjectiveStudy
    folder: WorkFolder
    on_progress: OnProgress

    def run(self) -> dict[str, Any]:
        """Does all parts.

        **Returns:** `problems`, one entry for each problem and method; `rows`, one for each
        network trained; `methods`, how each was tuned and how fast it is; `alone`, what networks
        for one target reach; `steps_per_epoch` of every family; `meta_training`; and
        `left_out`, families whose data are not there.
        """
        trained = [self._train_for_problems()]
        problems = [entry for name in self.study.problems.problems for entry in self._problem(name)]
        rows: list[dict[str, Any]] = []
        methods: list[dict[str, Any]] = []
        alone: dict[str, Any] = {}
        families, left_out = available_families(self.study)
        trained += [self._train_for_networks(*what) for what in self._meta_trainings(families)]
        for family in families:
            for judge in (self._hand_designed, self._learned):
                for part, cell in judge(family):
                    rows += _rows(part, cell)
                    methods.append({**cell, **_summary(part)})
            alone[family.name] = self._alone(family)
        return {
            "problems": problems,
            "meta_training": trained,
            "methods": methods,
            "alone": alone,
            "steps_per_epoch": {family.name: _steps_per_epoch(family) for family in families},
            "left_out": left_out,
            "rows": rows,
        }

    def stages(self) -> list[list[Job]]:
        """The same as jobs for several processes, after which `run` finds all parts."""
        families, _ = available_families(self.study)
        return [
            [
                *(
                    Job(f"ML2O for {what[0].name}", partial(self._train_for_networks, *what))
                    for what in self._meta_trainings(families)
                ),
                Job("ML2O for problems", self._train_for_problems),
                *(
                    Job(f"{family.name}, alone", partial(self._alone, family))
                    for family in families
                ),
                *(
                    Job(f"{family.name}, tuned {name}", partial(self._tune, family, name))
                    for family in families
                    for name in family.aggregators
                ),
            ],
            [
                *(
                    Job(f"{family.name}, tuned once more", partial(self._tune_again, family, rank))
                    for family in families
                    for rank in range(self.study.networks.num_refined)
                ),
                *(
                    Job(
                        f"{family.name}, ML2O of {meta_training[0].name}",
                        partial(self._judge_learned, family, *meta_training),
                    )
                    for family in families
                    for meta_training in self._judged_on(family)
                ),
                *(Job(name, partial(self._problem, name)) for name in self.study.problems.problems),
            ],
            [
                Job(f"{family.name}, tuned", partial(self._hand_designed, family))
                for family in families
            ],
        ]

    def _meta_trainings(
        self, families: list[NetworkFamily]
    ) -> list[tuple[NetworkFamily, Composed, int]]:
        return [
            (family, optimizer, seed)
            for family in families
            for optimizer in family.optimizers
            for seed in self.study.networks.meta_seeds
        ]

    def _train_for_problems(self) -> dict[str, Any]:
        return self._train("problems", self.study.problem_recipe())

    def _train_for_networks(
        self, family: NetworkFamily, optimizer: Composed, seed: int
    ) -> dict[str, Any]:
        recipe = self.study.network_recipe(family, optimizer, seed)
        return self._train(_run_name(family, optimizer.name, seed), recipe)

    def _say(self, activity: str, done: int = 0, total: int | None = None) -> None:
        self.on_progress(ComparisonProgress(activity, done, total))

    def _run_folder(self, name: str) -> RunFolder:
        return RunFolder(self.folder.path / "runs" / name)

    def _train(self, name: str, recipe: Recipe) -> dict[str, Any]:
        """Meta-trains one optimizer, unless it is there."""
        activity = f"meta-training, {name}"

        def report(progress: "Progress") -> None:
            self._say(activity, progress.meta_step, progress.meta_steps)

        def run() -> dict[str, Any]:
            result = train(recipe, self._run_folder(name), resume=True, on_progress=report)
            return plain({"score": result.best_score, "num_skipped": result.num_skipped})

        return {"name": name, **self.folder.once(f"training/{name}", run)}

    def _load(self, name: str) -> "LearnedOptimizer":
        from l2o.deploy import load

        return load(self._run_folder(name).optimizer)

    def _problem(self, name: str) -> list[dict[str, Any]]:
        """All methods on a test problem."""
        import jax

        from l2o import multiobjective
        from l2o.studies.multi_objective import problem_runs
        from l2o.studies.multi_objective.methods import problems

        study = self.study.problems
        learned = self._load("problems")
        assert isinstance(learned, multiobjective.ML2O)
        problem = problems()[name]
        num_objectives = jax.eval_shape(
            lambda key: problem.losses(problem.sample_start(key)), jax.random.key(0)
        ).shape[0]
        methods = problem_runs.methods(study, learned, num_objectives)
        found = []
        for index, (method_name, method) in enumerate(methods.items()):
            self._say(f"{name}: {method_name}", index, len(methods))
            part = self.folder.once(
                f"problems/{name}/{method_name}",
                partial(problem_runs.judge, study, problem, method),
            )
            found.append({"problem": name, "method": method_name, **part})
        return found

    def _tune(
        self, family: NetworkFamily, name: str, num_configurations: int | None = None
    ) -> dict[str, Any]:
        """Tunes an aggregator for a family, with so many configurations if it is once more."""
        from l2o.studies.multi_objective import network_runs

        networks = self.study.networks
        again = "" if num_configurations is None else ", once more"

        def report(done: int, total: int) -> None:
            self._say(f"{family.name}: tuning {name}{again}", done, total)

        def run() -> dict[str, Any]:
            from l2o.report import tuned_as_dict

            found = network_runs.tuned(
                networks,
                family,
                name,
                num_configurations=num_configurations or networks.num_configurations,
                on_progress=report,
            )
            return tuned_as_dict(found)

        return self.folder.once(f"tuning/{family.name}/{name}{again}", run)

    def _best_tuned(self, family: NetworkFamily) -> list[str]:
        """The aggregators to be tuned once more for a family, the best first."""
        tuned = {name: self._tune(family, name)["score"] for name in family.aggregators}
        finite = {name: score for name, score in tuned.items() if score is not None}
        return sorted(finite, key=finite.__getitem__)[: self.study.networks.num_refined]

    def _tune_again(self, family: NetworkFamily, rank: int) -> None:
        """Tunes the aggregator of this rank once more, if there is one."""
        for name in self._best_tuned(family)[rank : rank + 1]:
            self._tune(family, name, self.study.networks.refined_configurations)

    def _hand_designed(self, family: NetworkFamily) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Tunes all aggregators for a family, the best of them once more, and judges them."""
        from l2o.studies.multi_objective import network_runs
        from l2o.studies.multi_objective.methods import adam_behind

        networks = self.study.networks
        again = {
            name: self._tune(family, name, networks.refined_configurations)
            for name in self._best_tuned(family)
        }
        judged = []
        for name in family.aggregators:
            settings = self._tune(family, name)
            # More to choose from does not always find better.
            if name in again and again[name]["score"] is not None:
                settings = min(settings, again[name], key=itemgetter("score"))
            self._say(f"{family.name}: judging {name}")
            method = adam_behind(name, family.num_targets)
            optimizer = method.with_hyperparameters(**settings["hyperparameters"])
            part = self.folder.once(
                f"judged/{family.name}/{name}",
                lambda optimizer=optimizer: network_runs.judged(networks, family, optimizer),
            )
            cell = {"family": family.name, "method": name, "from": None, "meta_seed": None}
            judged.append(({**part, "tuning": settings}, cell))
        return judged

    def _learned(self, family: NetworkFamily) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Judges what was meta-trained, on its own family and on others, guarded and not."""
        return [
            judged
            for meta_training in self._judged_on(family)
            for judged in self._judge_learned(family, *meta_training)
        ]

    def _judged_on(self, family: NetworkFamily) -> list[tuple[NetworkFamily, Composed, int]]:
        """The meta-trainings that a family judges: its own, and those of ML2O on others."""
        by_name = {source.name: source for source in self.study.networks.families}
        others = self._meta_trainings([by_name[name] for name in family.others])
        return [
            *self._meta_trainings([family]),
            *(other for other in others if other[1].name == "ML2O"),
        ]

    def _judge_learned(
        self, family: NetworkFamily, source: NetworkFamily, settings: Composed, seed: int
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Judges one meta-trained optimizer on a family."""
        from l2o import multiobjective
        from l2o.studies.multi_objective.network_runs import judged, judged_at_intervals

        networks = self.study.networks
        learned = self._load(_run_name(source, settings.name, seed))
        methods = {learned.title: (judged, learned)}
        if isinstance(learned, multiobjective.ML2O):
            fitting = learned.for_objectives(family.num_targets)
            methods = {
                "ML2O": (judged, fitting),
                "GML2O": (judged, multiobjective.guard(fitting)),
                "GML2O at intervals": (judged_at_intervals, fitting),
            }
        judged_methods = []
        for name, (judge, optimizer) in methods.items():
            self._say(f"{family.name}: judging {name} from {source.name}")
            part = self.folder.once(
                f"judged/{family.name}/{name} from {source.name}-{seed}",
                lambda judge=judge, optimizer=optimizer: judge(networks, family, optimizer),
            )
            cell = {
                "family": family.name,
                "method": name,
                "from": source.name,
                "meta_seed": seed,
            }
            judged_methods.append((part, cell))
        return judged_methods

    def _alone(self, family: NetworkFamily) -> dict[str, Any]:
        """What networks for one target each reach."""
        from l2o.studies.multi_objective import network_runs

        def report(done: int, total: int) -> None:
            self._say(f"{family.name}: networks for one target", done, total)

        return self.folder.once(
            f"alone/{family.name}",
            lambda: network_runs.trained_alone(self.study.networks, family, report),
        )


def _steps_per_epoch(family: NetworkFamily) -> float:
    from l2o.studies.multi_objective.network_runs import multi_task

    networks = multi_task(family, "validation")
    return len(networks.data.inputs["train"]) / networks.batch_size


def _run_name(family: NetworkFamily, title: str, seed: int) -> str:
    return f"{family.name}-{title}-{seed}"


_OF_ALL = ("curve", "seconds_per_step", "num_diverged", "tuning", "seconds", "cpu_seconds")


def _rows(part: dict[str, Any], cell: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each network."""
    metrics = [name for name in part if name not in _OF_ALL]
    return [
        {**cell, "seed": seed, **{metric: part[metric][seed] for metric in metrics}}
        for seed in range(len(part["objective"]))
    ]


def _summary(part: dict[str, Any]) -> dict[str, Any]:
    """What is told of a method as a whole."""
    return {name: part[name] for name in _OF_ALL if name in part}
