"""Test problems as tasks for the inner loop, and a family of them to meta-train on."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.multiobjective.problems.problem import Problem
from l2o.multiobjective.problems.quadratics import random_quadratics
from l2o.support.checks import LARGEST_LOG_SCALE, check_number, check_size
from l2o.tasks import Batch, MultiObjectiveTask, TaskFamily


class ProblemTask(MultiObjectiveTask):
    """A test problem, started where it says. Bounds, where there are some, are not kept."""

    problem: Problem

    def init(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Draws a start."""
        return self.problem.sample_start(key)

    def losses(self, params: Float[Array, " n"], batch: Batch) -> Float[Array, " m"]:
        """The problem's losses, the same at every step."""
        del batch
        return self.problem.losses(params)


class RandomQuadraticsFamily(TaskFamily):
    """Random convex quadratics of random condition and scales.

    **Arguments:** `num_objectives`, m; `num_params`, n; `max_condition`: conditions are
    `10^U(0, log10 max_condition)`; `max_log_scale`, r: each objective is multiplied by
    `exp(U(-r, r))`.

    **Raises:** `ValueError` for numbers below 1, and r below 0 or above 40.
    """

    num_objectives: int = eqx.field(static=True)
    num_params: int = eqx.field(static=True)
    max_condition: float = eqx.field(static=True, default=100.0)
    max_log_scale: float = eqx.field(static=True, default=2.0)

    def __check_init__(self) -> None:
        check_size("num_objectives", self.num_objectives)
        check_size("num_params", self.num_params)
        check_number("max_condition", self.max_condition, least=1)
        check_number("max_log_scale", self.max_log_scale, least=0, most=LARGEST_LOG_SCALE)

    def sample(self, key: PRNGKeyArray) -> ProblemTask:
        """Draws a problem."""
        problem_key, condition_key, scale_key = jax.random.split(key, 3)
        condition = 10 ** (jnp.log10(self.max_condition) * jax.random.uniform(condition_key))
        r = self.max_log_scale
        scales = jnp.exp(jax.random.uniform(scale_key, (self.num_objectives,), minval=-r, maxval=r))
        problem = random_quadratics(
            problem_key, self.num_objectives, self.num_params, condition=condition, scales=scales
        )
        return ProblemTask(problem)
