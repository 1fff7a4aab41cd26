"""A run on disk: what is where, and who may write there."""

from dataclasses import dataclass
from pathlib import Path

from l2o.recipes.recipe import Recipe


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run."""

    path: Path

    @property
    def config(self) -> Path:
        """The recipe, complete."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """What meta-training measured, a line for every entry."""
        return self.path / "metrics.jsonl"

    @property
    def optimizer(self) -> Path:
        """The best optimizer, for `l2o.load`; there once meta-training is done."""
        return self.path / "optimizer"

    @property
    def tuned(self) -> Path:
        """The baselines as they were tuned last, a file each."""
        return self.path / "tuned"

    @property
    def evaluation(self) -> Path:
        """The numbers of the latest comparison."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The page about the latest comparison; its figures are in `figures/` beside it."""
        return self.path / "report.html"

    def read_recipe(self) -> Recipe:
        """The run's recipe.

        **Raises:** `ValueError` if there is no run here, or its config is damaged.
        """
        try:
            return Recipe.from_json(self.config.read_bytes(), self.config)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"There is no run in {self.path}: it has no config.json.") from None

    def claim(self, recipe: Recipe, *, resume: bool) -> None:
        """Makes the folder that of a run of this recipe.

        **Arguments:** `recipe`; `resume`, whether to go on where a run with the same settings
        stopped; if there is none, a new one begins.

        **Raises:** `ValueError` if the folder holds anything else.
        """
        from l2o.deploy.atomic import write_atomically

        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, not a folder for a run.")
        # Hidden files are of no one's work: half-written ones among them.
        occupied = self.path.exists() and any(
            not entry.name.startswith(".") for entry in self.path.iterdir()
        )
        if occupied and not resume:
            raise ValueError(
                f"{self.path} is not empty: add --resume to go on with the run in it, or choose "
                "another folder with --out."
            )
        if occupied:
            _check_same_training(self.read_recipe(), recipe, self.path)
        write_atomically(self.config, recipe.to_json().encode())


def _check_same_training(before: Recipe, now: Recipe, path: Path) -> None:
    """Makes sure that meta-training would be the same; how to evaluate it may differ."""
    settings = [recipe.flat() for recipe in (before, now)]
    for name in sorted(settings[0].keys() | settings[1].keys()):
        values = [each.get(name) for each in settings]
        is_training = name.split(".")[0] in (
            "task",
            "optimizer",
            "training",
            "regularization",
            "seed",
        )
        if is_training and values[0] != values[1]:
            raise ValueError(
                f"The run in {path} cannot be resumed with other settings: it has {name} = "
                f"{values[0]}, now asked for is {values[1]}."
            )
