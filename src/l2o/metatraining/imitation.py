"""Imitation of a hand-designed optimizer."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from l2o.inner_loop import InnerState, unroll
from l2o.optimizers import (
    LearnedOptimizer,
    OptState,
    Updates,
    check_optimizer,
    flatten,
    from_optax,
    per_task,
)
from l2o.support.checks import check_number
from l2o.tasks import TaskBatch


class Imitation(eqx.Module):
    """Meta-steps on which an optimizer imitates a teacher instead of minimising the objective.

    The teacher optimizes fresh tasks; the optimizer sees the gradients that the teacher meets, and
    its updates are compared with the teacher's. Source: Chen et al. 2020, *Training Stronger
    Baselines for Learning to Optimize*, whose released code imitates Adam with learning rate 0.01.
    It imitates with a second meta-optimizer (for DM and RNNProp); here there is one.

    **Arguments:** `ratio`, the probability that a meta-step is of imitation; `teacher`, any
    optimizer, held constant.

    **Raises:** `ValueError` if `ratio` is no number between 0 and 1, or `teacher` no optimizer of
    this library (Optax's come through `l2o.from_optax`).
    """

    ratio: float = eqx.field(static=True, default=0.1)
    teacher: LearnedOptimizer = eqx.field(default_factory=lambda: from_optax(optax.adam(0.01)))

    def __check_init__(self) -> None:
        check_number("ratio", self.ratio, least=0, most=1)
        check_optimizer(self.teacher, "teacher")

    def is_due(self, step_key: PRNGKeyArray) -> Bool[Array, ""]:
        """Whether the meta-step with this key is one of imitation."""
        return jax.random.bernoulli(jax.random.fold_in(step_key, 3), self.ratio)

    def __call__(
        self, optimizer: LearnedOptimizer, task: TaskBatch, key: PRNGKeyArray, num_steps: int
    ) -> tuple[Float[Array, ""], LearnedOptimizer]:
        """The imitation loss and its derivative with respect to the optimizer.

        **Arguments:** `optimizer`; `task`, several tasks; `key`, of their initialisation and
        minibatches; `num_steps`, of the teacher.

        **Returns:** the mean over steps and coordinates of half the squared difference between the
        updates; and an optimizer whose leaves hold the derivative.
        """

        def loss(optimizer: LearnedOptimizer) -> Float[Array, ""]:
            pair = _Pair(per_task(optimizer), per_task(self.teacher))
            params = task.init(jax.random.fold_in(key, 0))
            start = InnerState(params, pair.init(params))
            end = unroll(
                pair,
                task,
                jax.random.fold_in(key, 1),
                num_steps,
                state=start,
                first_order=True,
                checkpoint=True,
            ).state
            return end.opt_state.difference / num_steps

        return eqx.filter_value_and_grad(loss)(optimizer)


class _PairState(eqx.Module):
    student: OptState
    teacher: OptState
    difference: Float[Array, ""]
    """The sum over steps of half the mean squared difference between the updates."""


class _Pair(LearnedOptimizer):
    """Two optimizers that see the same gradients, of which the teacher makes the updates."""

    student: LearnedOptimizer
    teacher: LearnedOptimizer

    def init(self, params: Any) -> _PairState:
        """Both states."""
        zero = jnp.zeros((), flatten(params).dtype)
        return _PairState(self.student.init(params), self.teacher.init(params), zero)

    def update(
        self,
        grads: Any,
        state: OptState,
        params: Any | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, _PairState]:
        """The teacher's step, and how far the student's would have been from it."""
        given = {"value": value, **extra}
        ours, student = self.student.update(grads, state.student, params, **given)
        theirs, teacher = self.teacher.update(grads, state.teacher, params, **given)
        difference = jnp.mean(jnp.square(flatten(ours) - flatten(theirs))) / 2
        return theirs, _PairState(student, teacher, state.difference + difference)
