"""Imitation of a hand-designed optimizer."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from l2o.inner_loop import InnerState, unroll
from l2o.metatraining.devices import AXES, on_devices, own_key
from l2o.metatraining.meta_gradient import (
    InnerProblems,
    MetaGradient,
    MetaGradientEstimator,
    MetaLoss,
)
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

    ```pycon
    >>> imitation = l2o.metatraining.Imitation(ratio=0.2, teacher=l2o.from_optax(optax.adam(1e-2)))
    >>> imitation.ratio
    0.2
    ```
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


class Imitating(MetaGradientEstimator):
    """Another estimator, some of whose meta-steps are of imitation.

    These are on tasks of their own; the other estimator's inner problems stay as they are.
    """

    imitation: Imitation
    estimator: MetaGradientEstimator

    def mesh(self, optimizer: LearnedOptimizer, num_tasks: int) -> Mesh:
        """Those of the other estimator."""
        return self.estimator.mesh(optimizer, num_tasks)

    def begin(
        self, optimizer: LearnedOptimizer, problems: InnerProblems, key: PRNGKeyArray
    ) -> PyTree:
        """The other estimator's state."""
        return self.estimator.begin(optimizer, problems, key)

    def __call__(
        self,
        optimizer: LearnedOptimizer,
        meta_loss: MetaLoss,
        problems: InnerProblems,
        state: PyTree,
        key: PRNGKeyArray,
        meta_step: Int[Array, ""],
    ) -> tuple[MetaGradient, PyTree]:
        """The derivative of the imitation loss, or the other estimator's meta-gradient."""

        def estimate(state: PyTree) -> tuple[MetaGradient, PyTree]:
            return self.estimator(optimizer, meta_loss, problems, state, key, meta_step)

        def imitate(state: PyTree) -> tuple[MetaGradient, PyTree]:
            loss, gradient = self._gradient(optimizer, problems, jax.random.fold_in(key, 4))
            like, _ = jax.eval_shape(estimate, state)
            unknown = jax.tree.map(
                lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), like.diagnostics
            )
            return MetaGradient(loss, jnp.zeros_like(loss), gradient, unknown), state

        due = self.imitation.is_due(key)
        found, state = jax.lax.cond(due, imitate, estimate, state)
        diagnostics = found.diagnostics | {"imitation": due.astype(jnp.int32)}
        return eqx.tree_at(lambda found: found.diagnostics, found, diagnostics), state

    def give_up(self, state: PyTree, lost: Bool[Array, ""]) -> PyTree:
        """Gives up the other estimator's inner problems."""
        return self.estimator.give_up(state, lost)

    def _gradient(
        self, optimizer: LearnedOptimizer, problems: InnerProblems, task_key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], LearnedOptimizer]:
        """The imitation loss and its derivative, averaged over all devices."""
        mesh = self.mesh(optimizer, problems.num_tasks)

        def differentiate(shared: Any, own: tuple[()]) -> tuple[Any, tuple[()]]:
            imitation, optimizer, problems, task_key = shared
            task = problems.draw_own(task_key, mesh)
            key = own_key(jax.random.fold_in(task_key, 5))
            loss, gradient = imitation(optimizer, task, key, problems.truncation)
            found = (loss, eqx.filter(gradient, eqx.is_inexact_array))
            return jax.lax.pmean(found, AXES), own

        shared = (self.imitation, optimizer, problems, task_key)
        return on_devices(differentiate, mesh)(shared, ())[0]
