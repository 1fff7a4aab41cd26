"""The commands: their arguments, and which part of the library does the work."""

import abc
import inspect
import json
import re
import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

import tyro

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
from l2o.recipes import (
    RECIPES,
    EvaluationSettings,
    Recipe,
    RunFolder,
    check_hand_designed,
    check_subjects,
    compare,
    explain_all,
    find_hand_designed,
    find_recipe,
    find_reproduction,
    flatness_of_run,
    is_run,
    num_cores,
    read_settings,
    set_up_jax,
    train,
    training_differences,
    tune_baseline,
)
from l2o.support.lock import only_writer

if TYPE_CHECKING:
    from l2o.recipes import RunFlatness
    from l2o.report import Comparison, Subject

_MOST_PROCESSES = 8

_Value = TypeVar("_Value")
_Run = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]


class Command(abc.ABC):
    """Something that `l2o` can be told to do."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Reads what follows the command's name on the command line.

        **Raises:** `ValueError` for a flag given more than once; `SystemExit` after showing help
        or what else is wrong with the arguments.
        """
        return read_flags(cls, arguments, prog=f"l2o {name}")

    @property
    def interruption_hint(self) -> str:
        """What to say to a user who interrupts the command."""
        return ""

    @abc.abstractmethod
    def run(self) -> None:
        """Does it.

        **Raises:** `ValueError` for bad input.
        """


@dataclass(frozen=True)
class Train(Command):
    """Meta-train a learned optimizer.

    RECIPE is a name that `l2o list` shows, or a JSON file such as the config.json of a run. The
    options are the fields of that recipe, with its values as defaults: `l2o train RECIPE --help`.
    """

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on where a run of the same recipe in the folder stopped, if there is one, with its own
    settings; flags given beside this must agree with them."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Reads the name of the recipe, then options whose defaults depend on it.

        **Raises:** `ValueError` if the first argument names no recipe; `SystemExit` as usual.
        """
        if arguments and arguments[0] in ("-h", "--help"):
            print(cls._help(name))
            raise SystemExit(0)
        if not arguments or arguments[0].startswith("-"):
            raise ValueError(
                "The name of a recipe comes first, as in `l2o train digits-rnnprop`; there are "
                f"{', '.join(recipe.name for recipe in RECIPES)}."
            )
        recipe = find_recipe(arguments[0])
        prog = f"l2o {name} {arguments[0]}"

        def parsed(recipe: Recipe) -> Self:
            default = cls(recipe, Path("runs") / recipe.name)
            return read_flags(cls, arguments[1:], default=default, prog=prog)

        command = parsed(recipe)
        folder = RunFolder(command.out)
        if not (command.resume and folder.config.exists()):
            return command
        # Its settings need not be those of the recipe: some may have been given as flags.
        before = folder.read_recipe()
        if before.name != recipe.name:
            return command
        differences = training_differences(before, recipe)
        if differences:
            listed = ", ".join(
                f"{name} = {of_run} where the recipe has {of_recipe}"
                for name, (of_run, of_recipe) in differences.items()
            )
            print(f"Going on with the run's own settings: {listed}.", file=sys.stderr)
        return parsed(before)

    @classmethod
    def _help(cls, name: str) -> str:
        """What can be said before the recipe, and so its options, are known."""
        width = max(len(recipe.name) for recipe in RECIPES)
        lines = [f"  {recipe.name:<{width}}  {recipe.description}" for recipe in RECIPES]
        usage = f"usage: l2o {name} RECIPE [OPTIONS]"
        return "\n".join([usage, "", inspect.getdoc(cls) or "", "", "recipes:", *lines])

    @property
    def interruption_hint(self) -> str:
        """How to go on."""
        config = shlex.quote(str(RunFolder(self.out).config))
        return f" Go on with: l2o train {config} --out {shlex.quote(str(self.out))} --resume"

    def run(self) -> None:
        """Meta-trains, and says where the optimizer is."""
        folder = RunFolder(self.out)
        with LiveProgress(f"meta-training {self.recipe.name}") as progress:
            set_up_jax()
            result = train(
                self.recipe, folder, resume=self.resume, on_progress=progress.on_meta_step
            )
        skipped = (
            f" {result.num_skipped} meta-gradients were not finite and were skipped."
            if result.num_skipped
            else ""
        )
        print(
            f"Best objective on validation tasks: {result.best_score:.4g}, at meta-step "
            f"{result.best_step}.{skipped}\nOptimizer: {folder.optimizer}"
        )


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
    """Hand-designed optimizers to compare with."""
    configurations: int | None = None
    """Hyperparameter configurations to try for each baseline."""
    tuning_tasks: int | None = None
    """Tasks that each configuration is tried on."""
    seed: int | None = None
    """Seed of the tasks, initialisations and minibatches."""
    json: Path | None = None
    """Also write the numbers to this file."""

    def run(self) -> None:
        """Compares, writes the report and prints the table."""
        folder = RunFolder(self.run_folder)
        recipe = folder.read_recipe()
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
    """Tune a hand-designed optimizer on a recipe's tasks and objective."""

    optimizer: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OPTIMIZER")]
    """Name of a hand-designed optimizer (see `l2o list`)."""
    recipe: str = "digits-rnnprop"
    """Recipe, or JSON file, that says what to tune on."""
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

    def run(self) -> None:
        """Tunes and prints the best hyperparameters."""
        from l2o.report import tuned_as_dict

        check_hand_designed(self.optimizer)
        recipe = find_recipe(self.recipe)
        evaluation = replace(
            recipe.evaluation,
            num_configurations=self.configurations,
            tuning_tasks=self.tuning_tasks,
            num_steps=_given(self.steps, recipe.evaluation.num_steps),
        )
        recipe = replace(recipe, evaluation=evaluation, seed=_given(self.seed, recipe.seed))
        with LiveProgress(f"tuning {self.optimizer}") as progress:
            set_up_jax()
            hand_designed = find_hand_designed(self.optimizer)
            tuned = tune_baseline(hand_designed, recipe, on_progress=progress.on_comparison)
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
    """Show a run's settings, progress and results."""

    run_folder: _Run
    """Folder of a run."""

    def run(self) -> None:
        """Prints them."""
        print_run(RunFolder(self.run_folder))


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

    def run(self) -> None:
        """Explains, writes the page and prints what was found."""
        settings = read_settings(self.set)
        check_subjects(self.subject, self.against, distill=self.distill)
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

    def run(self) -> None:
        """Trains, measures, draws and prints the table."""
        RunFolder(self.run_folder).read_recipe()
        out = _given(self.out, self.run_folder / "flatness")
        with only_writer(out), LiveProgress(f"measuring flatness in {self.run_folder}") as progress:
            set_up_jax()
            found = flatness_of_run(
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
