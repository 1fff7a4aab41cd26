"""`l2o train`: its flags depend on what is meta-trained on what."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, Self

import tyro

from l2o import runs
from l2o.cli.command import Command
from l2o.cli.composed import (
    flags_of,
    named_on,
    names_of_flags,
    names_of_regularizers,
    regularizer_flags,
    with_flags,
    with_regularizer_flags,
    word_after,
)
from l2o.cli.flags import read_flags
from l2o.cli.progress import LiveProgress
from l2o.composition import ESTIMATOR, LEARNED_OPTIMIZER, TASK_FAMILY, Composed
from l2o.runs import (
    RECIPES,
    EvaluationSettings,
    Recipe,
    RunFolder,
    TrainingSettings,
    find_recipe,
    training_differences,
)

# What is meta-trained where no recipe says more than the task.
_PLAIN = Recipe(
    name="quadratic-rnnprop",
    description="RNNProp on quadratic.",
    task=Composed("quadratic"),
    optimizer=Composed("RNNProp"),
)


@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """The flags of `l2o train` that are there whatever is meta-trained on whatever."""

    task: str
    """Family of tasks, as `l2o list` shows them, or one of your own, my_module:attribute or
    my_file.py:attribute; its settings are flags."""
    optimizer: str
    """Learned optimizer, as `l2o list` shows them, or one of your own; its settings are flags."""
    objective_weight: float
    """Weight of the objective in the meta-loss; 0 leaves it to the regularizers."""
    training: tyro.conf.OmitArgPrefixes[TrainingSettings]
    evaluation: EvaluationSettings
    seed: int
    """Seed of all randomness, from 0 to 4294967295."""
    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on where a run of the same recipe in the folder stopped, if there is one, with its own
    settings; flags given beside this must agree with them."""


@dataclass(frozen=True)
class Train(Command):
    """Meta-train a learned optimizer.

    RECIPE is a name that `l2o list` shows, or a JSON file such as the config.json of a run. Without
    one, --task and --optimizer say what is meta-trained on what, or --out RUN --resume which run to
    go on with. The other options are settings, with the recipe's values as defaults: `l2o train
    RECIPE --help`.
    """

    recipe: Recipe
    out: Path
    resume: bool = False
    note: str = ""
    """What to say when it begins."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Reads the name of the recipe, then options whose defaults depend on it.

        **Raises:** `ValueError` if the first argument names no recipe; `SystemExit` as usual.
        """
        if arguments and arguments[0] in ("-h", "--help"):
            print(cls._help(name))
            raise SystemExit(0)
        named = bool(arguments) and not arguments[0].startswith("-")
        start = _PLAIN
        if named:
            start, prog = find_recipe(arguments[0]), f"l2o {name} {arguments[0]}"
        elif (task := word_after("--task", arguments)) is not None:
            prog = f"l2o {name} --task {task}"
        elif "--resume" in arguments and (out := word_after("--out", arguments, "a folder")):
            start, prog = RunFolder(Path(out)).read_recipe(), f"l2o {name} --out {out} --resume"
        else:
            raise ValueError(
                "The name of a recipe comes first, as in `l2o train digits-rnnprop`; there are "
                f"{', '.join(recipe.name for recipe in RECIPES)}. Or say what is meta-trained on "
                "what, as in `l2o train --task quadratic --optimizer RNNProp`; or which run to go "
                "on with, as in `l2o train --out RUN --resume`."
            )
        recipe = named_on(arguments, start)
        flags = arguments[1:] if named else arguments
        command = cls._read(recipe, flags, prog)
        folder = RunFolder(command.out)
        if not (command.resume and folder.config.exists()):
            return command
        # Its settings need not be those of the recipe: some may have been given as flags.
        before = named_on(arguments, folder.read_recipe())
        if before.name != recipe.name:
            return command
        differences = training_differences(before.completed(), recipe.completed())
        listed = ", ".join(
            f"{name} = {of_run} where the recipe has {of_recipe}"
            for name, (of_run, of_recipe) in differences.items()
        )
        note = f"Going on with the run's own settings: {listed}." if listed else ""
        return replace(cls._read(before, flags, prog), note=note)

    @classmethod
    def _read(cls, recipe: Recipe, arguments: Sequence[str], prog: str) -> Self:
        """Reads options, with the recipe's values as defaults."""
        slots = {
            "task": (recipe.task, TASK_FAMILY),
            "optimizer": (recipe.optimizer, LEARNED_OPTIMIZER),
            "estimator": (recipe.training.estimator, ESTIMATOR),
        }
        taken = names_of_flags(TrainFlags, TrainingSettings) | names_of_regularizers()
        settings = {}
        for slot, (composed, kind) in slots.items():
            settings[slot] = flags_of(composed, kind, taken)
            taken |= names_of_flags(settings[slot])
        settings["regularizer"] = regularizer_flags(recipe.regularization)
        with_settings = make_dataclass(
            cls.__name__,
            [
                (f"{slot}_settings", tyro.conf.OmitArgPrefixes[type(flags)])
                for slot, flags in settings.items()
                # An empty group would have no flags, and no place on the command line.
                if fields(flags)
            ],
            bases=(TrainFlags,),
            frozen=True,
            kw_only=True,
        )
        with_settings.__doc__ = cls.__doc__
        default = with_settings(
            task=recipe.task.name,
            optimizer=recipe.optimizer.name,
            objective_weight=recipe.regularization.objective_weight,
            training=recipe.training,
            evaluation=recipe.evaluation,
            seed=recipe.seed,
            out=Path("runs") / recipe.name,
            **{f"{slot}_settings": flags for slot, flags in settings.items() if fields(flags)},
        )
        read: Any = read_flags(with_settings, arguments, prog=prog, default=default)
        composed = {
            slot: with_flags(composed, kind, getattr(read, f"{slot}_settings", settings[slot]))
            for slot, (composed, kind) in slots.items()
        }
        regularization = replace(recipe.regularization, objective_weight=read.objective_weight)
        recipe = replace(
            recipe,
            task=composed["task"],
            optimizer=composed["optimizer"],
            # Their other settings are the recipe's.
            training=replace(
                read.training, estimator=composed["estimator"], parts=recipe.training.parts
            ),
            regularization=with_regularizer_flags(regularization, read.regularizer_settings),
            evaluation=read.evaluation,
            seed=read.seed,
        )
        return cls(recipe, read.out, read.resume)

    @classmethod
    def _help(cls, name: str) -> str:
        """What can be said before the recipe, and so its options, are known."""
        width = max(len(recipe.name) for recipe in RECIPES)
        lines = [f"  {recipe.name:<{width}}  {recipe.description}" for recipe in RECIPES]
        ways = ("RECIPE [OPTIONS]", "--task TASK [OPTIONS]", "--out RUN --resume")
        usage = [f"{'usage:' if i == 0 else '':<6} l2o {name} {way}" for i, way in enumerate(ways)]
        return "\n".join([*usage, "", inspect.getdoc(cls) or "", "", "recipes:", *lines])

    @property
    def interruption_hint(self) -> str:
        """How to go on."""
        folder = RunFolder(self.out)
        command = folder.resuming(self.recipe)
        if folder.can_be_resumed():
            return f" Go on with: {command}"
        return f" There is no checkpoint yet to go on from; to begin again: {command}"

    def run(self) -> None:
        """Meta-trains, and says where the optimizer is."""
        folder = RunFolder(self.out)
        with LiveProgress(f"meta-training {self.recipe.name}", note=self.note) as progress:
            runs.set_up_jax()
            result = runs.train(
                self.recipe,
                folder,
                resume=self.resume,
                on_start=progress.on_start,
                on_progress=progress.on_meta_step,
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
