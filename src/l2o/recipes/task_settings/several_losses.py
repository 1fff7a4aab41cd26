"""Settings of tasks with several losses."""

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from l2o.recipes.task_settings.base import JudgeOn, TaskSettings
from l2o.recipes.task_settings.data import Activation, dataset_title, read_images

if TYPE_CHECKING:
    from l2o.tasks import TaskFamily
    from l2o.tasks.datasets import Classification, MultiTaskData


@dataclass(frozen=True)
class _MultiTask(TaskSettings):
    """What all multi-task networks have in common."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Images that the tasks are made of."""
    pooling: int = 1
    """Averages squares of so many pixels: 2 makes MNIST 14 x 14."""
    hidden: tuple[int, ...] = (32,)
    """Units of each layer of the trunk."""
    head_hidden: tuple[int, ...] = ()
    """Units of each hidden layer of every head."""
    activations: tuple[Activation, ...] = ("relu",)
    """Activations of the trunk's hidden units; each task draws one."""
    batch_size: int = 64
    """Rows in a minibatch."""

    @abc.abstractmethod
    def data(self) -> "MultiTaskData":
        """Reads the data."""

    def _images(self) -> "Classification":
        from l2o.tasks.datasets import average_pool

        images = read_images(self.dataset)
        return images if self.pooling == 1 else average_pool(images, self.pooling)

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        return self.family_of(self.data(), judge_on)

    def family_of(self, data: "MultiTaskData", judge_on: JudgeOn) -> "TaskFamily":
        """The family with other data, such as one of the targets alone."""
        from l2o.tasks import multi_task_mlp_family

        return multi_task_mlp_family(
            data,
            self.hidden,
            self.head_hidden,
            self.activations,
            batch_size=self.batch_size,
            judge_on=judge_on,
        )


@dataclass(frozen=True)
class OverlaidPairs(_MultiTask):
    """Two overlapping digits, both to be recognised by one network: MultiMNIST from MNIST."""

    pairs_per_image: int = 4
    """Pairs that each image is upper left in."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{dataset_title(self.dataset)} pairs, trunk {self.hidden}"

    def data(self) -> "MultiTaskData":
        """Reads the data."""
        from l2o.tasks.datasets import overlaid_pairs

        return overlaid_pairs(self._images(), pairs_per_image=self.pairs_per_image)


@dataclass(frozen=True)
class Attributes(_MultiTask):
    """A digit, its ink in units of hundreds, and whether it is even, which few labels tell."""

    missing: float = 0.75
    """Share of training rows without the last label."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{dataset_title(self.dataset)} attributes, trunk {self.hidden}"

    def data(self) -> "MultiTaskData":
        """Reads the data."""
        from l2o.tasks.datasets import digit_attributes

        return digit_attributes(self._images(), missing=self.missing)


@dataclass(frozen=True)
class ConflictingQuadratics(TaskSettings):
    """Several convex quadratics of the same parameters, of random condition and scale."""

    num_quadratics: int = 2
    """Number of objectives."""
    dimension: int = 10
    """Number of parameters."""
    max_condition: float = 100.0
    """Largest condition number."""
    max_log_factor: float = 2.0
    """Multiplies each objective by exp(U(-r, r)) with this r."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.num_quadratics} quadratics in {self.dimension} dimensions"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.multiobjective.problems import RandomQuadraticsFamily

        del judge_on
        return RandomQuadraticsFamily(
            self.num_quadratics, self.dimension, self.max_condition, self.max_log_factor
        )
