"""A run on disk: what is where, and who may write there."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o.deploy.files import is_saved_optimizer
from l2o.evaluation.results import metrics_of
from l2o.metatraining.files import CHECKPOINTS, METRICS, TENSORBOARD, has_checkpoints, stage_folders
from l2o.metatraining.metrics import Row, read_metrics
from l2o.report.files import FIGURES, LOSS_LINES, LOSS_PLANES
from l2o.runs.recipe import Recipe
from l2o.support.atomic import write_atomically
from l2o.support.checks import is_finite_number
from l2o.support.kinds import check_kind, held_to_kinds
from l2o.support.strict_json import read_json, write_json

_OF_TRAINING = ("task", "optimizer", "training", "regularization", "seed")


@dataclass(frozen=True)
class ExplanationFolder:
    """Where it is written how an optimizer works."""

    path: Path

    @property
    def page(self) -> Path:
        """The page; its figures are in `figures/` beside it."""
        return self.path / "explanation.html"

    @property
    def numbers(self) -> Path:
        """What was found."""
        return self.path / "explanation.json"


@dataclass(frozen=True)
class DistillationFolder:
    """Where an optimizer's closed form is written."""

    path: Path

    @property
    def numbers(self) -> Path:
        """The formula, and how good it is."""
        return self.path / "distillation.json"

    @property
    def figure(self) -> Path:
        """Its updates, and what each of its mechanisms is worth."""
        return self.path / "closed-form.png"


@dataclass(frozen=True)
class FlatnessFolder:
    """Where it is written how flat minima are."""

    path: Path

    @property
    def numbers(self) -> Path:
        """What was measured."""
        return self.path / "flatness.json"

    @property
    def page(self) -> Path:
        """The page about it."""
        return self.path / "flatness.html"

    @property
    def lines(self) -> Path:
        """The loss along lines through the minima."""
        return self.path / LOSS_LINES

    @property
    def planes(self) -> Path:
        """The loss on planes through them."""
        return self.path / LOSS_PLANES


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, which knows what is where.

    ```pycon
    >>> l2o.runs.RunFolder.at("runs/x").tuned_baseline("adam").as_posix()
    'runs/x/tuned/adam.json'
    ```
    """

    path: Path

    @classmethod
    def at(cls, run: "RunFolder | Path | str") -> "RunFolder":
        """The folder of a run that may be named by its path.

        **Raises:** `ValueError` for what is no path.
        """
        check_kind("A run", run, RunFolder | Path | str)
        return run if isinstance(run, RunFolder) else cls(Path(run))

    @property
    def config(self) -> Path:
        """The recipe, complete."""
        return self.path / "config.json"

    @property
    def code(self) -> Path:
        """Digests of a person's own code that meta-training began with, if it has any."""
        return self.path / "code.json"

    @property
    def metrics(self) -> Path:
        """What meta-training measured, a line for every entry; a stage of a curriculum has one."""
        return self.path / METRICS

    @property
    def tensorboard(self) -> Path:
        """The same for TensorBoard."""
        return self.path / TENSORBOARD

    @property
    def checkpoints(self) -> Path:
        """Where meta-training goes on from after a kill; a stage of a curriculum has its own."""
        return self.path / CHECKPOINTS

    @property
    def stages(self) -> list[Path]:
        """The stages of a curriculum that began, in order: folders with metrics and checkpoints."""
        return stage_folders(self.path)

    @property
    def optimizer(self) -> Path:
        """The best optimizer, for `l2o.load`; there once meta-training is done."""
        return self.path / "optimizer"

    @property
    def tuned(self) -> Path:
        """The baselines as they were tuned last, a file each."""
        return self.path / "tuned"

    def tuned_baseline(self, name: str) -> Path:
        """The baseline of this name as it was tuned last."""
        return self.tuned / f"{name}.json"

    @property
    def evaluation(self) -> Path:
        """The numbers of the latest comparison."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The page about the latest comparison."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """The figures of that page."""
        return self.path / FIGURES

    @property
    def explanation(self) -> ExplanationFolder:
        """How the optimizer works."""
        return ExplanationFolder(self.path / "explain")

    @property
    def distillation(self) -> DistillationFolder:
        """Its closed form."""
        return DistillationFolder(self.path / "distill")

    @property
    def flatness(self) -> FlatnessFolder:
        """How flat the minima are that it finds."""
        return FlatnessFolder(self.path / "flatness")

    def is_run(self) -> bool:
        """Whether this is the folder of a run."""
        return self.config.exists() and not is_saved_optimizer(self.path)

    def can_be_resumed(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(map(has_checkpoints, (self.path, *self.stages)))

    def read_recipe(self) -> Recipe:
        """The run's recipe.

        **Raises:** `ValueError` if there is no run here but nothing or a saved optimizer, or its
        config is damaged.
        """
        if is_saved_optimizer(self.path):
            raise ValueError(
                f"{self.path} is the folder of a saved optimizer, not that of a run: name the one "
                "that it is in."
            )
        try:
            return Recipe.from_json(self.config.read_bytes(), self.config)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ValueError(f"There is no run in {self.path}: it has no config.json.") from None

    def check_is_finished(self, recipe: Recipe) -> None:
        """Makes sure that the run has an optimizer.

        **Raises:** `ValueError` that says how to go on, if there is none yet.
        """
        if not self.optimizer.exists():
            raise ValueError(
                f"The run in {self.path} has no optimizer yet: finish it with "
                f"`{self.resuming(recipe)}`."
            )

    def resuming(self, recipe: Recipe) -> str:
        """The command line that goes on with meta-training."""
        words = ["l2o", "train", str(self.config), "--out", str(self.path)]
        words += [*recipe.naming_own_code(), *recipe.training.naming_own_parts()]
        return shlex.join([*words, "--resume"])

    def read_evaluation(self) -> dict[str, Any] | None:
        """The numbers of the latest comparison, as `l2o.report.Comparison.as_dict` has them.

        Its setting and results are looked at; other entries may be anything.

        **Returns:** `None` if there was none yet.

        **Raises:** `ValueError` if the file is damaged.
        """
        if not self.evaluation.exists():
            return None
        content = read_json(self.evaluation.read_bytes(), self.evaluation)
        problem = _problem_of_evaluation(content)
        if problem is not None:
            raise ValueError(
                f"{self.evaluation} is damaged: {problem}; `l2o eval {self.path}` makes it anew."
            )
        return content

    def read_tuned(self) -> dict[str, dict[str, float]]:
        """The baselines' hyperparameters in the latest comparison; none without one.

        **Raises:** `ValueError` if it is damaged.
        """
        evaluation = self.read_evaluation()
        results = [] if evaluation is None else evaluation["results"]
        return {each["name"]: each["hyperparameters"] for each in results}

    def read_history(self) -> list[Row]:
        """What meta-training measured, a row for every entry.

        The stages of a curriculum follow one another; their meta-steps are counted on.

        **Raises:** `ValueError` if a file is damaged.
        """
        history: list[Row] = []
        for path in (self.path, *self.stages):
            before = history[-1]["meta_step"] if history else 0
            history += [
                row | {"meta_step": before + row["meta_step"]} for row in read_metrics(path)
            ]
        return history

    def claim(self, recipe: Recipe, *, resume: bool) -> None:
        """Makes the folder that of a run of this recipe.

        **Arguments:** `recipe`; `resume`, whether to go on where a run with the same settings
        stopped; if there is none, a new one begins.

        **Raises:** `ValueError` if the folder holds anything else. A run of which there is nothing
        but the config never began, and gives way.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, not a folder for a run.")
        if self.path.exists() and not self._is_free():
            if not resume:
                raise ValueError(
                    f"{self.path} is not empty: add --resume to go on with the run in it, or "
                    "choose another folder with --out."
                )
            _check_same_training(self.read_recipe().completed(), recipe.completed(), self.path)
            self._check_same_code(recipe)
        if recipe.digests_of_code():
            write_json(self.code, recipe.digests_of_code())
        write_atomically(self.config, recipe.to_json().encode())

    def _check_same_code(self, recipe: Recipe) -> None:
        """Makes sure that a person's own code is what meta-training began with."""
        before = read_json(self.code.read_bytes(), self.code) if self.code.exists() else {}
        for name, digest in recipe.digests_of_code().items():
            if not isinstance(before, dict) or before.get(name, digest) != digest:
                raise ValueError(
                    f"The run in {self.path} cannot be resumed: the file of its {name} has changed "
                    "since it began. Restore that, or choose another folder with --out."
                )

    def _is_free(self) -> bool:
        """Whether nothing is there but the config of a run that never began."""
        # Hidden files are of no one's work: half-written ones among them.
        names = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")}
        if not names or not names <= {self.config.name, self.code.name}:
            return not names
        try:
            self.read_recipe()
        except ValueError:
            return False
        return True


@held_to_kinds
def read_recipe(
    run: RunFolder | Path | str,
    *,
    task: str | None = None,
    optimizer: str | None = None,
    parts: Sequence[str] = (),
) -> Recipe:
    """The recipe of a run, to do more with it.

    **Arguments:** `run`, or its folder; `task` and `optimizer`, code of your own that the run was
    made with, if it was, as `module:attribute` or `file.py:attribute`: it is imported only where it
    is named; `parts`, to go on with meta-training on several families, the names of all of them, if
    there is code of your own among them.

    **Raises:** `ValueError` if there is no run, its config is damaged, or it was made with other
    code than is named.
    """
    return RunFolder.at(run).read_recipe().confirm(task=task, optimizer=optimizer, parts=parts)


def _problem_of_evaluation(content: Any) -> str | None:
    """What keeps this from being the numbers of a comparison."""
    if not isinstance(content, dict):
        return "it is no object"
    if type(content.get("setting")) is not str or type(content.get("num_tasks")) is not int:
        return "it lacks a setting and a number of tasks"
    results = content.get("results")
    if not isinstance(results, list) or not results:
        return "it lacks results"
    if not all(map(_is_result, results)) or len({metrics_of(each) for each in results}) > 1:
        return "its results are not those of optimizers"
    return None


def _is_result(result: Any) -> bool:
    """Whether this is what a comparison tells of one optimizer."""
    if not isinstance(result, dict) or type(result.get("name")) is not str:
        return False
    settings = result.get("hyperparameters")
    return (
        isinstance(settings, dict)
        and all(map(is_finite_number, settings.values()))
        and type(result.get("diverged")) is int
        and all(
            result[metric][number] is None or is_finite_number(result[metric][number])
            for metric in metrics_of(result)
            for number in ("mean", "sem")
        )
    )


def training_differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """The settings of meta-training that differ, by name; how to evaluate it is none of them.

    Of tasks, optimizers or estimators of different names, which do not have the same settings, it
    is the name. What one of them lacks is told as `None`.
    """
    settings = [recipe.flat() for recipe in (one, other)]
    names = {name for flat in settings for name in flat if name.split(".")[0] in _OF_TRAINING}
    differences = {
        name: (settings[0].get(name), settings[1].get(name))
        for name in sorted(names, key=lambda name: (not name.endswith(".name"), name))
        if settings[0].get(name) != settings[1].get(name)
    }
    others = tuple(
        f"{name.removesuffix('name')}keywords." for name in differences if name.endswith(".name")
    )
    return {name: values for name, values in differences.items() if not name.startswith(others)}


def _check_same_training(before: Recipe, now: Recipe, path: Path) -> None:
    """Makes sure that meta-training would be the same."""
    for name, (of_run, asked_for) in training_differences(before, now).items():
        raise ValueError(
            f"The run in {path} cannot be resumed with other settings: it has {name} = "
            f"{of_run}, now asked for is {asked_for}; choose another folder with --out for those."
        )
