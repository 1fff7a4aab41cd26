"""Settings of small models on two moons, breast cancer data, random clusters and text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from l2o.recipes.task_settings.base import JudgeOn, TaskSettings
from l2o.recipes.task_settings.data import Activation, network_title

if TYPE_CHECKING:
    from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class TwoMoons(TaskSettings):
    """Full-batch classification of two half-moons by a small network."""

    hidden: tuple[int, ...] = (64, 64, 64)
    """Units of each hidden layer."""
    activation: Activation = "tanh"
    """Activation of the hidden units."""
    l2_penalty: float = 5e-3
    """Factor of the 2-norm, not squared, of the parameters."""
    random_data: bool = False
    """Give every task fresh data."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"two moons, {network_title((2, *self.hidden, 1), (self.activation,))}"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import MLP, TwoMoonsFamily

        network = MLP((2, *self.hidden, 1), self.activation)
        return TwoMoonsFamily(
            network=network,
            random_data=self.random_data,
            l2_penalty=self.l2_penalty,
            judge_on=judge_on,
        )


@dataclass(frozen=True)
class BreastCancer(TaskSettings):
    """Full-batch logistic regression on scikit-learn's breast-cancer data."""

    l2_penalty: float = 5e-4
    """Factor of half the squared 2-norm of the weights."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return "logistic regression on breast-cancer data"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LogisticRegression, SingleTask

        return SingleTask(LogisticRegression(l2_penalty=self.l2_penalty, judge_on=judge_on))


@dataclass(frozen=True)
class LogisticRegression(TaskSettings):
    """Full-batch logistic regression between two random Gaussian clouds."""

    num_points: int = 100
    """Points in each split."""
    dimension: int = 3
    """Numbers that describe a point."""
    l2_penalty: float = 5e-4
    """Factor of half the squared 2-norm of the weights."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional logistic regression"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LogisticRegressionFamily

        return LogisticRegressionFamily(self.num_points, self.dimension, self.l2_penalty, judge_on)


@dataclass(frozen=True)
class CharacterModel(TaskSettings):
    """Prediction of the next character of Shakespeare's plays, on minibatches."""

    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer."""
    activation: Activation = "tanh"
    """Activation of the hidden units."""
    context: int = 8
    """Characters to look back."""
    embedding_size: int = 16
    """Numbers that stand for a character."""
    batch_size: int = 128
    """Windows of text in a minibatch."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"Shakespeare, {self.context} characters back, {self.hidden} {self.activation} units"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import SingleTask, character_mlp
        from l2o.tasks.datasets import tiny_shakespeare

        return SingleTask(
            character_mlp(
                tiny_shakespeare(),
                self.hidden,
                self.activation,
                context=self.context,
                embedding_size=self.embedding_size,
                batch_size=self.batch_size,
                judge_on=judge_on,
            )
        )
