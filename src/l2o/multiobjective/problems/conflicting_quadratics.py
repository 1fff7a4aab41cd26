"""Random quadratics of the same parameters, to meta-train on."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from l2o.multiobjective.problems.problem_task import ProblemTask
from l2o.multiobjective.problems.quadratics import random_quadratics
from l2o.support.checks import LARGEST_LOG_SCALE, check_number, check_size
from l2o.tasks import TaskFamily


class ConflictingQuadraticsFamily(TaskFamily):
    """Several convex quadratics of the same parameters, of random condition and scale.

    Conditions are 10^U(0, log10 of the largest).

    **Arguments:**

    - `num_quadratics`: Number of objectives.
    - `dimension`: Number of parameters.
    - `max_condition`: Largest condition number.
    - `max_log_factor`: Multiplies each objective by exp(U(-r, r)) with this r.

    **Raises:** `ValueError` for numbers below 1, and r below 0 or above 40.

    ```pycon
    >>> family = l2o.multiobjective.problems.ConflictingQuadraticsFamily(3, dimension=2)
    >>> l2o.tasks.count_objectives(family)
    3
    ```
    """

    num_quadratics: int = eqx.field(static=True, default=2)
    dimension: int = eqx.field(static=True, default=10)
    max_condition: float = eqx.field(static=True, default=100.0)
    max_log_factor: float = eqx.field(static=True, default=2.0)

    def __check_init__(self) -> None:
        check_size("num_quadratics", self.num_quadratics)
        check_size("dimension", self.dimension)
        check_number("max_condition", self.max_condition, least=1)
        check_number("max_log_factor", self.max_log_factor, least=0, most=LARGEST_LOG_SCALE)

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.num_quadratics} quadratics in {self.dimension} dimensions"

    def sample(self, key: PRNGKeyArray) -> ProblemTask:
        """Draws a problem."""
        problem_key, condition_key, scale_key = jax.random.split(key, 3)
        condition = 10 ** (jnp.log10(self.max_condition) * jax.random.uniform(condition_key))
        r = self.max_log_factor
        scales = jnp.exp(jax.random.uniform(scale_key, (self.num_quadratics,), minval=-r, maxval=r))
        problem = random_quadratics(
            problem_key, self.num_quadratics, self.dimension, condition=condition, scales=scales
        )
        return ProblemTask(problem)
