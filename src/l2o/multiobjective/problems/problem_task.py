"""Test problems as tasks for the inner loop."""

from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.problem import Problem
from l2o.tasks import Batch, MultiObjectiveTask


class ProblemTask(MultiObjectiveTask):
    """A test problem, started where it says. Bounds, where there are some, are not kept.

    ```pycon
    >>> task = l2o.multiobjective.problems.ProblemTask(l2o.multiobjective.problems.bk1())
    >>> task.losses(jnp.zeros(2), None)
    Array([ 0., 50.], dtype=float32)
    ```
    """

    problem: Problem

    def init(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Draws a start."""
        return self.problem.sample_start(key)

    def losses(self, params: Float[Array, " n"], batch: Batch) -> Float[Array, " m"]:
        """The problem's losses, the same at every step."""
        del batch
        return self.problem.losses(params)
