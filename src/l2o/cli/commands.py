"""The commands: their arguments, and which part of the library does the work."""

import json
import re
import shlex
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

import tyro

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
    print_run,
    print_search_spaces,
    print_tuned,
)
from l2o.cli.training import Train
from l2o.composition import TASK_FAMILY, Composed
from l2o.runs import (
    RECIPES,
    EvaluationSettings,
    Recipe,
    RunFolder,
    check_hand_designed,
    check_subjects,
    compare,
    explain_all,
    find_recipe,
    flatness_of_run,
    is_run,
    num_cores,
    read_settings,
    set_up_jax,
    tune_baseline,
)
from l2o.studies import find_reproduction
from l2o.support.lock import only_writer

if TYPE_CHECKING:
    from l2o.report import Comparison, Subject
    from l2o.runs import RunFlatness

_MOST_PROCESSES = 8

_Value = TypeVar("_Value")
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
        recipe = folder.read_recipe().confirm(task=self.task, optimizer=self.optimizer)
        before = recipe.evaluation
        evaluation = replace(
            before,
            num_tasks=_given(self.tasks, before.num_tasks),
            num_steps=_given(self.steps, before.num_steps),
            longer_steps=_given(self.longer_steps, before.longer_steps),
            baselines=_given(self.baselines, before.baselines),
            num_configurations=_given(self.configurations, before.num_configurations),
            tuning_tasks=_given(self.tuning_tasks, before.tuning_tasks),
        )
        recipe = replace(recipe, evaluation=evaluation, seed=_given(self.seed, recipe.seed))
        _compare_and_report(recipe, folder, self.json)


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
        from l2o.report import tuned_as_dict

        check_hand_designed(self.optimizer)
        recipe = find_recipe(self.recipe)
        recipe = replace(recipe, task=_given(self.composed, recipe.task))
        evaluation = replace(
            recipe.evaluation,
            num_configurations=self.configurations,
            tuning_tasks=self.tuning_tasks,
            num_steps=_given(self.steps, recipe.evaluation.num_steps),
        )
        recipe = replace(recipe, evaluation=evaluation, seed=_given(self.seed, recipe.seed))
        with LiveProgress(f"tuning {self.optimizer}") as progress:
            set_up_jax()
            tuned = tune_baseline(self.optimizer, recipe, on_progress=progress.on_comparison)
        if self.json is not None:
            _write_numbers(tuned_as_dict(tuned), self.json)
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
        is_recipe = self.subject in {recipe.name for recipe in RECIPES}
        if is_recipe and not folder.config.exists():
            print(find_recipe(self.subject).to_json())
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
        recipe = find_recipe(self.recipe)
        Train(recipe, self.out, resume=True).run()
        _compare_and_report(recipe, RunFolder(self.out), None)


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
        if is_run(self.subject):
            recipe = RunFolder(Path(self.subject)).read_recipe()
            recipe.confirm(task=self.task, optimizer=self.optimizer)
        with only_writer(self._out()), LiveProgress(f"explaining {self.subject}") as progress:
            set_up_jax()
            subjects = explain_all(
                self.subject,
                settings,
                self.against,
                num_steps=self.steps,
                time=self.time,
                reference_gradient=self.reference_gradient,
                distill=self.distill,
                task=self.task,
                own_optimizer=self.optimizer,
                on_progress=progress.on_comparison,
            )
            page = self._write(subjects)
        print_findings(subjects)
        print(f"Report: {page}")

    def _out(self) -> Path:
        """The folder for the page."""
        path = Path(self.subject)
        name = re.sub(r"[^\w-]+", "-", self.subject)
        return _given(
            self.out, path / "explain" if is_run(self.subject) else Path("runs") / f"explain-{name}"
        )

    def _write(self, subjects: "dict[str, Subject]") -> Path:
        """Writes page and numbers."""
        from l2o.report import write_explanation

        page = self._out() / "explanation.html"
        write_explanation(subjects, page, command=self._command())
        numbers = [subject.as_dict() for subject in subjects.values()]
        others = dict(zip(list(subjects)[1:], numbers[1:], strict=True))
        main = numbers[0] | ({"against": others} if others else {})
        for target in (page.parent / "explanation.json", self.json):
            if target is not None:
                _write_numbers(main, target)
        return page

    def _command(self) -> str:
        """The command line that makes the page again."""
        words = ["l2o", "explain", self.subject]
        words += ["--set", *self.set] if self.set else []
        words += ["--against", *self.against] if self.against else []
        words += ["--distill"] if self.distill else []
        return shlex.join(words)


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
        recipe = RunFolder(self.run_folder).read_recipe()
        recipe = recipe.confirm(task=self.task, optimizer=self.optimizer)
        out = _given(self.out, self.run_folder / "flatness")
        with only_writer(out), LiveProgress(f"measuring flatness in {self.run_folder}") as progress:
            set_up_jax()
            found = flatness_of_run(
                recipe,
                RunFolder(self.run_folder),
                num_tasks=self.tasks,
                num_steps=self.steps,
                on_progress=progress.on_comparison,
            )
            self._draw(found, out)
            for target in (out / "flatness.json", self.json):
                if target is not None:
                    _write_numbers(found.as_dict(), target)
        print_flatness(found)
        print(f"Figures: {out}")

    def _draw(self, found: "RunFlatness", out: Path) -> None:
        """Writes the pictures of the loss."""
        from l2o.report.drawing import as_png
        from l2o.report.flatness import loss_lines, loss_planes
        from l2o.support.atomic import write_atomically

        write_atomically(out / "loss-lines.png", as_png(loss_lines(found.lines)))
        write_atomically(out / "loss-planes.png", as_png(loss_planes(found.planes)))


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

    @property
    def interruption_hint(self) -> str:
        """How to go on."""
        return " The same command goes on where it stopped."

    def run(self) -> None:
        """Does all of it and says where the results are."""
        reproduction = find_reproduction(self.name)
        processes = min(num_cores(), _MOST_PROCESSES) if self.processes is None else self.processes
        with LiveProgress(f"reproducing {self.name}") as progress:
            set_up_jax(shared=processes > 1)
            page = reproduction.run(
                self.profile, self.out, progress.on_comparison, num_processes=processes
            )
        print(f"Results: {self.out / 'results.json'}\nReport: {page}")


def _given(value: _Value | None, otherwise: _Value) -> _Value:
    """What the user gave, or the value there was."""
    return otherwise if value is None else value


def _compare_and_report(recipe: Recipe, folder: RunFolder, json_path: Path | None) -> None:
    """Compares the run's optimizer with baselines and writes down all about it.

    What the run's files hold is read before anything is computed or written.
    """
    folder.read_recipe()
    history = folder.read_history()
    with only_writer(folder.path), LiveProgress("comparing with baselines") as progress:
        set_up_jax()
        comparison = compare(recipe, folder, on_progress=progress.on_comparison)
        _write_numbers(comparison.as_dict(), folder.evaluation)
        if json_path is not None:
            _write_numbers(comparison.as_dict(), json_path)
        _write_report(comparison, recipe, folder, history)
    print_comparison(comparison)
    print(f"Report: {folder.report}")


def _write_numbers(numbers: dict[str, Any], path: Path) -> None:
    """Writes strictly valid JSON."""
    from l2o.support.atomic import write_atomically

    write_atomically(path, json.dumps(numbers, indent=2, allow_nan=False).encode())


def _write_report(
    comparison: "Comparison", recipe: Recipe, folder: RunFolder, history: list[dict[str, Any]]
) -> None:
    """Writes the page and its figures."""
    from l2o.report import write_report

    training = recipe.training
    horizon = training.horizon if training.curriculum is None else training.curriculum[0]

    write_report(
        comparison,
        folder.report,
        title=f"{comparison.learned} against tuned baselines",
        description=recipe.description,
        config=recipe.to_json(),
        history=history,
        windows=horizon // training.truncation,
    )
