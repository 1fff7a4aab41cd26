"""Settings of functions in closed form."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from l2o.recipes.task_settings.base import JudgeOn, TaskSettings

if TYPE_CHECKING:
    from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class Quadratic(TaskSettings):
    """Convex quadratics with log-uniform eigenvalues in random directions."""

    dimension: int = 5
    """Number of parameters."""
    log10_eigenvalues: tuple[float, float] = (-3.0, 0.0)
    """Smallest and largest base-10 logarithm of the eigenvalues."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional quadratics"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import QuadraticFamily

        del judge_on
        return QuadraticFamily(self.dimension, self.log10_eigenvalues)


@dataclass(frozen=True)
class LeastSquares(TaskSettings):
    """Linear regressions with standard normal data."""

    num_rows: int = 20
    """Number of data points."""
    dimension: int = 10
    """Number of parameters."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional least squares"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LeastSquaresFamily

        del judge_on
        return LeastSquaresFamily(self.num_rows, self.dimension)


@dataclass(frozen=True)
class Lasso(TaskSettings):
    """Least squares with an l1 penalty, standard normal data."""

    num_rows: int = 5
    """Number of data points."""
    dimension: int = 10
    """Number of parameters."""
    l1_penalty: float = 0.005
    """Factor of the 1-norm of the parameters."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional lasso"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import LassoFamily

        del judge_on
        return LassoFamily(self.num_rows, self.dimension, self.l1_penalty)


@dataclass(frozen=True)
class Rastrigin(TaskSettings):
    """Quadratics under a grid of ripples, with many local minima."""

    dimension: int = 10
    """Number of parameters."""
    amplitude: float = 10.0
    """Height of the ripples."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional Rastrigin functions"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import RastriginFamily

        del judge_on
        return RastriginFamily(self.dimension, self.amplitude)


@dataclass(frozen=True)
class Rosenbrock(TaskSettings):
    """The curved valley of Rosenbrock, from random starts."""

    dimension: int = 2
    """Number of parameters."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional Rosenbrock function"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o import tasks

        del judge_on
        return tasks.SingleTask(tasks.Rosenbrock(self.dimension))
