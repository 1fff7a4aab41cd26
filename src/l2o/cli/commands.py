"""The commands: their arguments, and which part of the library does the work."""

from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

import tyro

from l2o import runs
from l2o.cli.command import Command
from l2o.cli.composed import (
    OWN_OPTIMIZER_HELP,
    OWN_TASK_HELP,
    flags_of,
    named_on,
    names_of_flags,
    with_flags,
    word_after,
)
from l2o.cli.flags import read_flags
from l2o.cli.progress import LiveProgress
from l2o.cli.tables import (
    print_comparison,
    print_findings,
    print_flatness,
    print_lists,
    print_recipe,
    print_run,
    print_search_spaces,
    print_tuned,
)
from l2o.cli.training import Train
from l2o.composition import TASK_FAMILY, Composed
from l2o.runs import (
    RECIPES,
    EvaluationSettings,
    ExplanationFolder,
    Recipe,
    RunFolder,
    check_hand_designed,
    check_subjects,
    find_recipe,
    read_recipe,
    read_settings,
)
from l2o.runs.subjects import explanation_folder, is_run
from l2o.studies import find_reproduction
from l2o.studies.work import num_parts_done

_MOST_PROCESSES = 8

_Run = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
_OwnTask = Annotated[str | None, tyro.conf.arg(help=OWN_TASK_HELP)]
_OwnOptimizer = Annotated[str | None, tyro.conf.arg(help=OWN_OPTIMIZER_HELP)]


@dataclass(frozen=True)
class Eval(Command):
    """Compare a run's optimizer with tuned baselines, and write a report.

    What is not given is taken from the run's own settings. The report, its figures and
    evaluation.json are written into the run's folder. So are the tuned baselines, which are reused
    as long as nothing changes that decides them.
    """

    run_folder: _Run
    """Folder of a finished run."""
    tasks: int | None = None
    """Fresh tasks to compare on."""
    steps: int | None = None
    """Steps of each run, for tuning too."""
    longer_steps: int | None = None
    """Steps of further runs at a longer horizon, without tuning again."""
    baselines: tuple[str, ...] | None = None
    """Hand-designed optimizers to compare with, by name (see `l2o list`); for tasks with several
    losses WEIGHTING-OPTIMIZER, such as upgrad-adam."""
    configurations: int | None = None
    """Hyperparameter configurations to try for each baseline."""
    tuning_tasks: int | None = None
    """Tasks that each configuration is tried on."""
    seed: int | None = None
    """Seed of the tasks, initialisations and minibatches."""
    json: Path | None = None
    """Also write the numbers to this file."""
    task: _OwnTask = None
    optimizer: _OwnOptimizer = None

    def run(self) -> None:
        """Compares, writes the report and prints the table."""
        folder = RunFolder(self.run_folder)
        recipe = read_recipe(folder, task=self.task, optimizer=self.optimizer)
        changes = _given(
            num_tasks=self.tasks,
            num_steps=self.steps,
            longer_steps=self.longer_steps,
            baselines=self.baselines,
            num_configurations=self.configurations,
            tuning_tasks=self.tuning_tasks,
        )
        _evaluate(recipe.with_evaluation(seed=self.seed, **changes), folder, self.json)


@dataclass(frozen=True)
class Tune(Command):
    """Tune a hand-designed optimizer on a recipe's tasks and objective.

    With --task, it is tuned on other tasks than the recipe's, whose settings are further options:
    `l2o tune adam --task TASK --help`.
    """

    optimizer: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OPTIMIZER")]
    """Name of a hand-designed optimizer (see `l2o list`); for tasks with several losses
    WEIGHTING-OPTIMIZER, such as upgrad-adam."""
    recipe: str = "digits-rnnprop"
    """Recipe, or JSON file, that says what to tune on."""
    task: str | None = None
    """Family of tasks, as `l2o list` shows them, or one of your own, my_module:attribute or
    my_file.py:attribute; by default that of the recipe."""
    configurations: int = EvaluationSettings.num_configurations
    """Hyperparameter configurations to try."""
    tuning_tasks: int = EvaluationSettings.tuning_tasks
    """Tasks that each configuration is tried on."""
    steps: int | None = None
    """Steps of each run; by default those of the recipe's evaluation."""
    seed: int | None = None
    """Seed of all randomness; by default that of the recipe."""
    json: Path | None = None
    """Also write the result to this file."""
    composed: tyro.conf.SuppressFixed[Composed | None] = None

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Reads options; those of a task are known once it is named.

        **Raises:** `ValueError` for a task that there is not; `SystemExit` as usual.
        """
        if word_after("--task", arguments) is None:
            return super().parse(name, arguments)
        recipe = find_recipe(word_after("--recipe", arguments) or cls.recipe)
        task = named_on(arguments, recipe).task
        settings = flags_of(task, TASK_FAMILY, names_of_flags(cls))
        with_settings = make_dataclass(
            cls.__name__,
            [("settings", tyro.conf.OmitArgPrefixes[type(settings)], field(default=settings))],
            bases=(cls,),
            frozen=True,
        )
        with_settings.__doc__ = cls.__doc__
        read: Any = read_flags(with_settings, arguments, prog=f"l2o {name}")
        given: dict[str, Any] = {each.name: getattr(read, each.name) for each in fields(cls)}
        given["composed"] = with_flags(task, TASK_FAMILY, read.settings)
        return cls(**given)

    def run(self) -> None:
        """Tunes and prints the best hyperparameters."""
        check_hand_designed(self.optimizer)
        recipe = find_recipe(self.recipe)
        recipe = replace(recipe, task=self.composed or recipe.task).with_evaluation(
            seed=self.seed,
            num_configurations=self.configurations,
            tuning_tasks=self.tuning_tasks,
            **_given(num_steps=self.steps),
        )
        on = f"{recipe.task.name} over {recipe.evaluation.num_steps} steps"
        if self.composed is None:
            on += f", the tasks of the recipe {self.recipe}; --task and --recipe name others"
        note = f"Tuning {self.optimizer} on {on}."
        with LiveProgress(f"tuning {self.optimizer}", note=note) as progress:
            runs.set_up_jax()
            tuned = runs.tune_baseline(
                self.optimizer, recipe, json=self.json, on_progress=progress.on_comparison
            )
        print_tuned(tuned, recipe)


@dataclass(frozen=True)
class List(Command):
    """List recipes, tasks and optimizers."""

    spaces: bool = False
    """List what `l2o tune` searches for each hand-designed optimizer instead."""

    def run(self) -> None:
        """Prints the tables."""
        if self.spaces:
            print_search_spaces()
        else:
            print_lists()


@dataclass(frozen=True)
class Show(Command):
    """Show a run's settings, progress and results, or a recipe.

    With --json, the recipe is printed as `l2o train FILE.json` takes it, to start one of your own
    from.
    """

    subject: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of a run, or the name of a recipe."""
    json: bool = False
    """Print the recipe, complete, as JSON."""

    def run(self) -> None:
        """Prints them."""
        folder = RunFolder(Path(self.subject))
        may_be_recipe = self.subject in {recipe.name for recipe in RECIPES} or (
            self.subject == folder.path.name and not folder.path.exists()
        )
        if may_be_recipe and not folder.config.exists():
            try:
                recipe = find_recipe(self.subject)
            except ValueError as error:
                raise ValueError(f"There is no run in {self.subject}, either. {error}") from None
            if self.json:
                print(recipe.to_json())
            else:
                print_recipe(recipe)
        elif self.json:
            print(folder.read_recipe().to_json())
        else:
            print_run(folder)


@dataclass(frozen=True)
class Demo(Command):
    """Train, tune, compare and report, all in less than five minutes.

    A demo that was interrupted goes on where it stopped.
    """

    out: Path = field(default=Path("runs/demo"))
    """Folder of the run."""
    recipe: str = "demo"
    """Recipe, or JSON file."""

    @property
    def interruption_hint(self) -> str:
        """How to go on."""
        return " The same command goes on where it stopped."

    def run(self) -> None:
        """Does all of it."""
        # Before it is trained, code that no evaluation could run is refused.
        recipe = find_recipe(self.recipe).confirm()
        Train(recipe, self.out, resume=True).run()
        _evaluate(recipe, RunFolder(self.out), None)


@dataclass(frozen=True)
class Explain(Command):
    """Show how an optimizer works: momentum, clipping, schedule and adaptation.

    OPTIMIZER is a hand-designed optimizer (see `l2o list`), the folder of a finished run or of a
    saved optimizer, or one of your own: module:attribute or file.py:attribute, which is imported.
    """

    subject: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OPTIMIZER")]
    """Name of a hand-designed optimizer, folder of a finished run or of a saved optimizer, or one
    of your own, as in my_module:optimizer or my_file.py:optimizer."""
    set: tuple[str, ...] = ()
    """Hyperparameters of a hand-designed optimizer, as in --set learning_rate=0.1 momentum=0.9; or
    keywords of what makes one of your own."""
    against: tuple[str, ...] = ()
    """Optimizers to show side by side, named in the same way."""
    out: Path | None = None
    """Folder for the page and its figures; by default runs/explain-NAME, or explain in the run."""
    steps: int = 200
    """Steps to follow the learning-rate schedule for."""
    time: int | None = None
    """Steps at which to hold what changes with time; by default late, or where it is alive."""
    reference_gradient: float | None = None
    """Gradient to look at optimizers at that are singular at zero; by default 1, or the median of
    those met on the run's task."""
    distill: bool = False
    """Also distil a run's optimizer into a formula, and run that on the task: minutes."""
    json: Path | None = None
    """Also write the numbers to this file."""
    task: _OwnTask = None
    optimizer: _OwnOptimizer = None

    def run(self) -> None:
        """Explains, writes the page and prints what was found."""
        settings = read_settings(self.set)
        check_subjects(self.subject, self.against, distill=self.distill)
        recipe = None
        if is_run(self.subject):
            recipe = read_recipe(self.subject, task=self.task, optimizer=self.optimizer)
        target = (
            explanation_folder(self.subject) if self.out is None else ExplanationFolder(self.out)
        )
        with LiveProgress(f"explaining {self.subject}") as progress:
            runs.set_up_jax()
            subjects = runs.explain(
                self.subject,
                settings,
                self.against,
                recipe=recipe,
                num_steps=self.steps,
                time=self.time,
                reference_gradient=self.reference_gradient,
                distill=self.distill,
                out=target.path,
                json=self.json,
                on_progress=progress.on_comparison,
            )
        print_findings(subjects)
        print(f"\nReport: {target.page}\nNumbers: {target.numbers}")


@dataclass(frozen=True)
class Flatness(Command):
    """Show how flat the minima are that a run's optimizer finds, beside tuned baselines.

    Networks are trained anew as in the run's latest `l2o eval`, which comes first: with its seed
    and baselines and for as many steps. They are measured where they end, on all of their training
    data: the Hessian's spectral norm and trace, the trace relative to the size of parameters, and
    the gap of local entropy; with pictures of the loss around them.
    """

    run_folder: _Run
    """Folder of a run that was evaluated."""
    tasks: int = 10
    """Networks to train."""
    steps: int | None = None
    """Steps to train each; by default those of the latest `l2o eval`."""
    out: Path | None = None
    """Folder for figures and numbers; by default flatness in the run."""
    json: Path | None = None
    """Also write the numbers to this file."""
    task: _OwnTask = None
    optimizer: _OwnOptimizer = None

    def run(self) -> None:
        """Trains, measures, draws and prints the table."""
        recipe = read_recipe(self.run_folder, task=self.task, optimizer=self.optimizer)
        with LiveProgress(f"measuring flatness in {self.run_folder}") as progress:
            runs.set_up_jax()
            measured = runs.measure_flatness(
                self.run_folder,
                recipe,
                num_tasks=self.tasks,
                num_steps=self.steps,
                out=self.out,
                json=self.json,
                on_progress=progress.on_comparison,
            )
        print_flatness(measured)
        print(f"Report: {measured.folder.page}")


@dataclass(frozen=True)
class Reproduce(Command):
    """Repeat a paper's experiments, from meta-training to its figures.

    A command that was interrupted goes on where it stopped.
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """What to repeat (see `l2o list`)."""
    out: Path
    """Folder for results.json, the figures and the page."""
    profile: str = "quick"
    """Size: quick, cpu, full, or another that `l2o list` tells of."""
    processes: int | None = None
    """How many work side by side. By default one for each processor core, at most 8."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Reads options; before any is missed, an unknown name is refused.

        **Raises:** `ValueError` if the first argument names no paper; `SystemExit` as usual.
        """
        if arguments and not arguments[0].startswith("-"):
            find_reproduction(arguments[0])
        return super().parse(name, arguments)

    @property
    def interruption_hint(self) -> str:
        """How to go on."""
        return " The same command goes on where it stopped."

    def run(self) -> None:
        """Does all of it and says where the results are."""
        reproduction = find_reproduction(self.name)
        most = min(runs.num_cores(), _MOST_PROCESSES)
        processes = most if self.processes is None else self.processes
        done = num_parts_done(self.out)
        details = f"checking; {done} parts are there already" if done else "checking"
        with LiveProgress(f"reproducing {self.name}", details) as progress:
            runs.set_up_jax(shared=processes > 1)
            page = reproduction.run(
                self.profile, self.out, progress.on_comparison, num_processes=processes
            )
        print(f"Results: {self.out / 'results.json'}\nReport: {page}")


def _given(**options: Any) -> Any:
    """What the user gave of some options."""
    return {name: value for name, value in options.items() if value is not None}


def _evaluate(recipe: Recipe, folder: RunFolder, json: Path | None) -> None:
    """Compares a run's optimizer with baselines and says what came of it."""
    with LiveProgress("comparing with baselines") as progress:
        runs.set_up_jax()
        comparison = runs.evaluate(folder, recipe, json=json, on_progress=progress.on_comparison)
    print_comparison(comparison)
    print(f"Report: {folder.report}")
