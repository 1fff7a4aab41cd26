"""The flatness study in the order of its work: choosing, meta-training, tuning, judging."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np

from l2o.composition import Composed
from l2o.studies.flatness import parts
from l2o.studies.flatness.comparison import compare_methods, compare_with_baseline
from l2o.studies.flatness.meta_training import MetaTraining, recipe_of
from l2o.studies.flatness.page import write_page
from l2o.studies.flatness.profiles import (
    CPU,
    FULL,
    GPU,
    PLAIN,
    QUICK,
    VALIDATED,
    Control,
    FlatnessStudy,
    Optimizee,
)
from l2o.studies.flatness.rows import (
    Bounds,
    ChosenRate,
    ChosenStrength,
    ChosenWeight,
    Results,
    Row,
    Settings,
    Surfaces,
    Trained,
    TriedRate,
    TriedStrength,
    TriedWeight,
    Tuned,
    Validated,
)
from l2o.studies.parts import Source, TunedBaseline, tune
from l2o.studies.study import Heading, Study
from l2o.studies.work import Work
from l2o.tasks.datasets import DataError


class Contestant(NamedTuple):
    """An optimizer that trains networks."""

    name: str
    """Of files."""
    source: Source
    architecture: str
    regularizer: str | None = None
    enhanced: bool = False
    meta_seed: int | None = None


@dataclass(frozen=True)
class FlatnessRunner:
    """The parts of a study, as one needs another."""

    study: FlatnessStudy
    work: Work
    optimizees: list[Optimizee]
    """Those whose data are there."""

    def run(self, heading: Heading, left_out: list[str]) -> Results:
        """Does all parts."""
        study = self.study
        methods = self.work.start(self.work.each, self.train_and_judge, self.methods())
        baselines = self.work.start(self.work.each, self.tune_and_judge, self.tunings())
        controls = self.work.start(self.work.each, self.control_and_judge, self.controls())
        shown = self.work.start(self.look)
        rates = {name: self.choose_rate(name) for name in study.architectures}
        weights = {
            name: {method: self.choose_weight(name, method) for method in architecture.methods}
            for name, architecture in study.architectures.items()
        }
        trained, of_methods = _columns(methods.result())
        tuned, of_baselines = _columns(baselines.result())
        chosen, of_controls = _columns(controls.result())
        bounds, surfaces = shown.result()
        rows = [*chain(*of_methods), *chain(*of_baselines), *chain(*of_controls)]
        return {
            **heading,
            "settings": cast(Settings, study.as_dict()),
            "titles": {method.name: method.title for method in study.methods},
            "control_titles": {control.name: control.title for control in study.controls},
            "comparisons": compare_methods(rows, study.levels),
            "against_baselines": [
                entry
                for name in (study.shown_baseline, VALIDATED.format(study.shown_baseline))
                for entry in compare_with_baseline(rows, name, study.levels)
            ],
            "learning_rates": rates,
            "weights": weights,
            "meta_training": list(chain(*trained)),
            "baselines": tuned,
            "controls": chosen,
            "left_out": left_out,
            "bounds": bounds,
            "surfaces": surfaces,
            "rows": rows,
        }

    def methods(self) -> list[tuple[str, str, bool]]:
        """What is meta-trained: architecture, method, and whether by enhanced training."""
        return [
            (name, method, enhanced)
            for name, architecture in self.study.architectures.items()
            for enhanced in (False, True)
            for method in (architecture.enhanced if enhanced else architecture.methods)
        ]

    def tunings(self) -> list[tuple[Optimizee, str, str | None]]:
        """What is tuned: kind of network, baseline, and the metric if not the training loss."""
        study = self.study
        return [
            (optimizee, name, final_metric)
            for optimizee in self.optimizees
            for names, final_metric in (
                (study.baselines, None),
                (study.validated_baselines, "validation_loss"),
            )
            for name in names
        ]

    def controls(self) -> list[tuple[Control, str]]:
        """Controls, and the architecture or baseline that they are tried with."""
        return [
            (control, name)
            for control in self.study.controls
            for name in (self.study.first_architecture, *self.study.baselines)
        ]

    def choose_rate(self, architecture: str) -> ChosenRate:
        """Tries learning rates of meta-training without regularizers, on validation tasks."""
        rates = self.study.architectures[architecture].learning_rates
        if len(rates) == 1:
            return {"chosen": rates[0], "tried": []}

        def attempt(rate: float) -> TriedRate:
            regularization = self.study.find_method(PLAIN).regularization
            first = self.study.meta_seeds[0]
            what = MetaTraining(architecture, regularization, False, rate, first)
            return {"learning_rate": rate, "score": self.train(what)["score"]}

        tried = self.work.each(attempt, rates)
        best = min(tried, key=lambda each: _or_worst(each["score"]))
        return {"chosen": best["learning_rate"], "tried": tried}

    def choose_weight(self, architecture: str, name: str) -> ChosenWeight:
        """Tries a method's weights, by the validation split."""
        method = self.study.find_method(name)
        weights = self.study.architectures[architecture].weights.get(name, method.weights)
        if len(weights) < 2:
            return {"chosen": weights[0] if weights else None, "tried": []}
        rate = self.choose_rate(architecture)["chosen"]

        def attempt(weight: float) -> TriedWeight:
            settings, first = method.with_weight(weight), self.study.meta_seeds[0]
            what = MetaTraining(architecture, settings, False, rate, first)
            self.train(what)
            return {"weight": weight, **self.validate(what.name, what.folder(self.work.path))}

        tried = self.work.each(attempt, weights)
        best = min(tried, key=lambda each: _or_worst(each["validation_loss"]))
        return {"chosen": best["weight"], "tried": tried}

    def choose_strength(self, who: Contestant, control: Control) -> ChosenStrength:
        """Tries a control's strengths like weights."""

        def attempt(strength: float) -> TriedStrength:
            controlled = parts.Controlled(control, strength)
            return {"strength": strength, **self.validate(who.name, who.source, controlled)}

        chosen, tried = control.strengths[0], []
        if len(control.strengths) > 1:
            tried = self.work.each(attempt, control.strengths)
            best = min(tried, key=lambda each: _or_worst(each["validation_loss"]))
            chosen = best["strength"]
        return {
            "architecture": who.architecture,
            "control": control.name,
            "chosen": chosen,
            "tried": tried,
        }

    def train_and_judge(self, what: tuple[str, str, bool]) -> tuple[list[Trained], list[Row]]:
        """Meta-trains with a method, and lets what comes out train networks of all kinds."""
        architecture, method, enhanced = what

        def of_seed(what: MetaTraining) -> tuple[Trained, list[Row]]:
            trained: Trained = {
                "architecture": architecture,
                "regularizer": method,
                "enhanced": enhanced,
                "learning_rate": what.learning_rate,
                "meta_seed": what.seed,
                **self.train(what),
            }
            who = self.learned(what, method)
            return trained, [row for each in self.optimizees for row in self.judge(who, each)]

        trained, rows = _columns(
            self.work.each(of_seed, self.meta_trainings(architecture, method, enhanced))
        )
        return trained, list(chain(*rows))

    def meta_trainings(self, architecture: str, method: str, enhanced: bool) -> list[MetaTraining]:
        """Those of a method with what was chosen for it, one for each meta-seed."""
        weight = self.choose_weight(architecture, method)["chosen"]
        settings = self.study.find_method(method).with_weight(weight)
        rate = self.choose_rate(architecture)["chosen"]
        return [
            MetaTraining(architecture, settings, enhanced, rate, seed)
            for seed in self.study.meta_seeds
        ]

    def learned(self, what: MetaTraining, method: str) -> Contestant:
        """What a meta-training made."""
        folder = what.folder(self.work.path)
        return Contestant(what.name, folder, what.architecture, method, what.enhanced, what.seed)

    def train(self, what: MetaTraining) -> parts.MetaTrained:
        """Meta-trains an optimizer."""
        return self.work.once(
            f"training/{what.name}",
            parts.train,
            what.recipe(self.study),
            what.folder(self.work.path),
        )

    def validate(
        self, name: str, source: Source, controlled: parts.Controlled | None = None
    ) -> Validated:
        """The losses on the validation split."""
        suffix = "" if controlled is None else controlled.suffix
        return self.work.once(
            f"validation/{name}{suffix}", parts.validate, source, self.study, controlled
        )

    def judge(
        self, who: Contestant, optimizee: Optimizee, controlled: parts.Controlled | None = None
    ) -> list[Row]:
        """Lets an optimizer train networks of one kind; a row for each."""
        suffix = "" if controlled is None else controlled.suffix
        part = self.work.once(
            f"judged/{who.name}{suffix}/{optimizee.name}",
            parts.judge,
            who.source,
            self.study,
            optimizee.task,
            controlled,
        )
        rows: list[Any] = [
            {
                "architecture": who.architecture,
                "regularizer": who.regularizer,
                "enhanced": who.enhanced,
                "meta_seed": who.meta_seed,
                "optimizee": optimizee.name,
                "control": None if controlled is None else controlled.control.name,
                "seed": seed,
                **{metric: part[metric][seed] for metric in parts.metrics_of(self.study)},
            }
            for seed in range(self.study.num_seeds)
        ]
        return rows

    def tune_and_judge(self, what: tuple[Optimizee, str, str | None]) -> tuple[Tuned, list[Row]]:
        """Tunes a hand-designed optimizer for a kind of network, and lets it train some."""
        optimizee, optimizer, final_metric = what
        who, tuned = self.tune(optimizee, optimizer, final_metric)
        entry: Tuned = {
            **tuned,
            "optimizee": optimizee.name,
            "name": who.name,
            "optimizer": optimizer,
        }
        return entry, self.judge(who, optimizee)

    def tune(
        self, optimizee: Optimizee, optimizer: str, final_metric: str | None = None
    ) -> tuple[Contestant, TunedBaseline]:
        """Tunes for the training loss, or for a metric of the validation split."""
        name = optimizer if final_metric is None else VALIDATED.format(optimizer)
        recipe = replace(recipe_of(self.study), task=optimizee.task)
        tuned = self.work.once(
            f"tuning/{optimizee.name}-{name}", tune, optimizer, recipe, final_metric
        )
        return Contestant(name, tuned, name), tuned

    def control_and_judge(self, what: tuple[Control, str]) -> tuple[ChosenStrength, list[Row]]:
        """Tries a control with the plain learned optimizer or with a baseline.

        Baselines keep what they were tuned to without controls.
        """
        control, name = what
        if name == self.study.first_architecture:
            trained = self.meta_trainings(name, PLAIN, False)
            for each in trained:
                self.train(each)
            learned = [self.learned(each, PLAIN) for each in trained]
            judged = [(who, optimizee) for optimizee in self.optimizees for who in learned]
        else:
            judged = [(self.tune(optimizee, name)[0], optimizee) for optimizee in self.optimizees]
        # The first kind is that of meta-training, and so of validation.
        chosen = self.choose_strength(judged[0][0], control)
        controlled = parts.Controlled(control, chosen["chosen"])
        return chosen, [
            row for who, optimizee in judged for row in self.judge(who, optimizee, controlled)
        ]

    def look(self) -> tuple[dict[str, Bounds], dict[str, Surfaces]]:
        """The bounds along a few trainings, and the loss surfaces where they end."""
        study, optimizee = self.study, self.optimizees[0]
        architecture = study.first_architecture
        shown: dict[str, Source] = {}
        for name in study.shown_methods:
            first, *_ = self.meta_trainings(architecture, name, False)
            self.train(first)
            title = f"{architecture}, {study.find_method(name).title}"
            shown[title] = first.folder(self.work.path)
        _, shown[f"tuned {study.shown_baseline}"] = self.tune(optimizee, study.shown_baseline)
        bounds, surfaces = {}, {}
        for title, source in shown.items():
            given = (source, study, optimizee.task)
            bounds[title] = self.work.once(f"bounds/{title}", parts.look_along, *given)
            surfaces[title] = self.work.once(f"surfaces/{title}", parts.look_around, *given)
        return bounds, surfaces


def _columns(pairs: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def _or_worst(value: float | None) -> float:
    """What is not finite is the worst."""
    return np.inf if value is None else value


def _is_there(task: Composed) -> bool:
    """Whether its data are."""
    try:
        parts.family(task, "test")
    except DataError:
        return False
    return True


def _claim(study: FlatnessStudy) -> Mapping[str, Any]:
    parts.family(study.training_task, "validation")
    return {"study": study.as_dict()}


def _results(heading: Heading, study: FlatnessStudy, work: Work) -> Results:
    there = [each for each in study.optimizees if _is_there(each.task)]
    left_out = [each.name for each in study.optimizees if each not in there]
    return FlatnessRunner(study, work, there).run(heading, left_out)


STUDY = Study(
    experiment="flatness",
    paper="Yang, Chen, Zhu, He, Tao, Liang, Wang: Learning to Generalize Provably in "
    "Learning to Optimize (AISTATS 2023); its numbers are not known to us",
    profiles={"quick": QUICK, "cpu": CPU, "gpu": GPU, "full": FULL},
    claim=_claim,
    results=_results,
    write=write_page,
)
"""Yang et al. 2023."""
