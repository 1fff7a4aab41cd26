"""The study in the order of its work: meta-training, tuning, judging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

from l2o.composition import Composed
from l2o.runs import make_family
from l2o.studies.multi_objective import network_runs, problem_runs
from l2o.studies.multi_objective.comparison import compare_methods, compare_on_problems
from l2o.studies.multi_objective.page import write_pages
from l2o.studies.multi_objective.profiles import (
    CPU,
    FULL,
    QUICK,
    MultiObjectiveStudy,
    NetworkFamily,
)
from l2o.studies.multi_objective.rows import (
    MetaTrained,
    Method,
    Metrics,
    OfMethod,
    OnProblem,
    Results,
    Row,
    Settings,
    rows_of,
    summary_of,
)
from l2o.studies.parts import TunedBaseline
from l2o.studies.study import Heading, Study
from l2o.studies.work import Work
from l2o.tasks.datasets import DataError


class MetaTraining(NamedTuple):
    """One for networks: on what, of what, and with which seed."""

    family: NetworkFamily
    optimizer: Composed
    seed: int

    @property
    def name(self) -> str:
        """Of files."""
        return f"{self.family.name}-{self.optimizer.name}-{self.seed}"


@dataclass(frozen=True)
class MultiObjectiveRunner:
    """The parts of a study, as one needs another."""

    study: MultiObjectiveStudy
    work: Work
    families: list[NetworkFamily]
    """Those whose data are there."""

    def run(self, heading: Heading, left_out: list[str]) -> Results:
        """Does all parts."""
        work, families = self.work, self.families
        for_networks = work.start(work.each, self.train_for_networks, self.meta_trainings(families))
        for_problems = work.start(self.train_for_problems)
        of_problems = work.start(work.each, self.on_problem, self.study.problems.problems)
        of_families = work.start(work.each, self.on_family, families)
        alone: dict[str, Metrics] = {}
        for family, reached in zip(families, work.each(self.alone, families), strict=True):
            alone[family.name] = reached
        problems = list(chain(*of_problems.result()))
        judged = list(chain(*of_families.result()))
        rows = [row for of_method, _ in judged for row in of_method]
        methods = [method for _, method in judged]
        return {
            **heading,
            "remarks": [],
            "settings": cast(Settings, self.study.as_dict()),
            "problem_comparison": compare_on_problems(problems),
            "comparisons": compare_methods(rows, methods, alone),
            "problems": problems,
            "meta_training": [for_problems.result(), *for_networks.result()],
            "methods": methods,
            "alone": alone,
            "steps_per_epoch": {
                family.name: network_runs.steps_per_epoch(family) for family in families
            },
            "left_out": left_out,
            "rows": rows,
        }

    def meta_trainings(self, families: Sequence[NetworkFamily]) -> list[MetaTraining]:
        """All of some families."""
        return [
            MetaTraining(family, optimizer, seed)
            for family in families
            for optimizer in family.optimizers
            for seed in self.study.networks.meta_seeds
        ]

    def judged_on(self, family: NetworkFamily) -> list[MetaTraining]:
        """The meta-trainings that a family judges: its own, and those of ML2O on others."""
        by_name = {source.name: source for source in self.study.networks.families}
        others = self.meta_trainings([by_name[name] for name in family.others])
        return [
            *self.meta_trainings([family]),
            *(other for other in others if other.optimizer.name == "ML2O"),
        ]

    def folder(self, name: str) -> Path:
        """That of a meta-training's run."""
        return self.work.path / "runs" / name

    def train_for_problems(self) -> MetaTrained:
        """Meta-trains the optimizer for test problems."""
        return self._train("problems", self.study.problem_recipe())

    def train_for_networks(self, what: MetaTraining) -> MetaTrained:
        """Meta-trains one for networks."""
        return self._train(what.name, self.study.network_recipe(*what))

    def _train(self, name: str, recipe: Any) -> MetaTrained:
        trained = self.work.once(f"training/{name}", network_runs.train, recipe, self.folder(name))
        return {"name": name, **trained}

    def on_problem(self, name: str) -> list[OnProblem]:
        """All methods on a test problem."""
        self.train_for_problems()

        def of_method(method: str) -> OnProblem:
            part = self.work.once(
                f"problems/{name}/{method}",
                problem_runs.judge_on_problem,
                self.study.problems,
                name,
                method,
                self.folder("problems"),
            )
            return {"problem": name, "method": method, **part}

        return self.work.each(of_method, problem_runs.names_of_methods(self.study.problems))

    def on_family(self, family: NetworkFamily) -> list[tuple[list[Row], Method]]:
        """All methods on a family of networks."""
        learned = self.work.start(
            self.work.each, partial(self.judge_learned, family), self.judged_on(family)
        )
        return [*self.hand_designed(family), *chain(*learned.result())]

    def hand_designed(self, family: NetworkFamily) -> list[tuple[list[Row], Method]]:
        """Tunes all aggregators for a family, the best of them once more, and judges them."""
        networks = self.study.networks

        def tune(name: str) -> TunedBaseline:
            return self._tune(family, name, networks.num_configurations)

        def tune_again(name: str) -> TunedBaseline:
            return self._tune(family, name, networks.refined_configurations, ", once more")

        tuned = dict(zip(family.aggregators, self.work.each(tune, family.aggregators), strict=True))
        finite = {
            name: found["score"] for name, found in tuned.items() if found["score"] is not None
        }
        best = sorted(finite, key=finite.__getitem__)[: networks.num_refined]
        # More to choose from does not always find better.
        tuned |= {
            name: found
            for name, found in zip(best, self.work.each(tune_again, best), strict=True)
            if found["score"] is not None and found["score"] < finite[name]
        }

        def judge(name: str) -> tuple[list[Row], Method]:
            part = self.work.once(
                f"judged/{family.name}/{name}",
                network_runs.judge_tuned,
                networks,
                family,
                name,
                tuned[name],
            )
            of: OfMethod = {"family": family.name, "method": name, "from": None, "meta_seed": None}
            return rows_of(part, of), summary_of(part, of, tuned[name])

        return self.work.each(judge, family.aggregators)

    def _tune(
        self, family: NetworkFamily, name: str, num_configurations: int, again: str = ""
    ) -> TunedBaseline:
        return self.work.once(
            f"tuning/{family.name}/{name}{again}",
            network_runs.tune_behind,
            self.study.networks,
            family,
            name,
            num_configurations,
        )

    def judge_learned(
        self, family: NetworkFamily, what: MetaTraining
    ) -> list[tuple[list[Row], Method]]:
        """Judges one meta-trained optimizer on a family, guarded and not."""
        self.train_for_networks(what)
        source, folder = what.family.name, self.folder(what.name)

        def judge(name: str) -> tuple[list[Row], Method]:
            part = self.work.once(
                f"judged/{family.name}/{name} from {source}-{what.seed}",
                network_runs.judge_learned,
                self.study.networks,
                family,
                name,
                folder,
            )
            of: OfMethod = {
                "family": family.name,
                "method": name,
                "from": source,
                "meta_seed": what.seed,
            }
            return rows_of(part, of), summary_of(part, of, None)

        return self.work.each(judge, network_runs.methods_of(what.optimizer))

    def alone(self, family: NetworkFamily) -> Metrics:
        """What networks for one target each reach."""
        return self.work.once(
            f"alone/{family.name}", network_runs.train_alone, self.study.networks, family
        )


def available_families(study: MultiObjectiveStudy) -> tuple[list[NetworkFamily], list[str]]:
    """The families of networks whose data are there, and the names of the others.

    **Raises:** `DataError` if none are there.
    """
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


def _claim(study: MultiObjectiveStudy) -> Mapping[str, Any]:
    available_families(study)
    return {"study": study.as_dict()}


def _results(heading: Heading, study: MultiObjectiveStudy, work: Work) -> Results:
    there, left_out = available_families(study)
    return MultiObjectiveRunner(study, work, there).run(heading, left_out)


STUDY = Study(
    experiment="multi-objective",
    paper="Yang, Yang, Tang: Learning to optimize by multi-gradient for multi-objective "
    "optimization (arXiv 2311.00559); its numbers are not known to us",
    profiles={"quick": QUICK, "cpu": CPU, "full": FULL},
    claim=_claim,
    results=_results,
    write=write_pages,
)
"""Yang, Yang and Tang."""
