"""One meta-training of the study, by all that decides it."""

from dataclasses import dataclass, replace
from pathlib import Path

from l2o.runs.evaluation_settings import EvaluationSettings
from l2o.runs.recipe import Recipe
from l2o.runs.regularization import Regularization
from l2o.studies.flatness.profiles import FlatnessStudy


@dataclass(frozen=True)
class MetaTraining:
    """Which optimizer is meta-trained, and how."""

    architecture: str
    regularization: Regularization
    enhanced: bool
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """A name for files: no other meta-training of the study has it."""
        changed = [
            f"{regularizer.name}({', '.join(f'{n}={v}' for n, v in regularizer.keywords.items())})"
            for regularizer in self.regularization.regularizers
        ]
        if self.regularization.objective_weight != 1:
            changed.append(f"objective_weight={self.regularization.objective_weight}")
        kind = ["enhanced"] if self.enhanced else []
        return "-".join(
            [self.architecture, *kind, *changed, f"rate={self.learning_rate:g}", str(self.seed)]
        )

    def folder(self, work: Path) -> Path:
        """That of its run, in the folder of the work."""
        return work / "runs" / self.name

    def recipe(self, study: FlatnessStudy) -> Recipe:
        """The same as a recipe."""
        training = study.enhanced_training if self.enhanced else study.training
        return Recipe(
            name=f"flatness-{self.architecture}",
            description="One meta-training of the flatness study.",
            task=study.training_task,
            optimizer=study.architectures[self.architecture].optimizer,
            training=replace(training, learning_rate=self.learning_rate),
            regularization=self.regularization,
            evaluation=EvaluationSettings(
                baselines=study.baselines,
                num_configurations=study.num_configurations,
                tuning_tasks=8,
                num_tasks=study.num_seeds,
                num_steps=study.num_steps,
            ),
            seed=self.seed,
        )


def recipe_of(study: FlatnessStudy) -> Recipe:
    """How networks are trained and baselines tuned, whatever the optimizer."""
    first = study.first_architecture
    return MetaTraining(first, Regularization(), False, 0.0, study.seed).recipe(study)
