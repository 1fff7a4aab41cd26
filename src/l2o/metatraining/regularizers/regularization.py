"""All regularizers of a meta-loss, along an unroll of several tasks."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.inner_loop import Step, keep
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import StepLoss
from l2o.tasks import Batch, Params, Task, TaskBatch


class Regularization(eqx.Module):
    """All weighted regularizers together, at one step."""

    value: Float[Array, " tasks"]
    gradient: Params
    """With respect to the parameters; leaves have a leading task axis."""

    def surrogate(self, params: Params) -> Float[Array, ""]:
        """A function of the parameters with this value and gradient, averaged over tasks.

        **Arguments:** `params`, those that the regularizers were taken at.
        """

        def linear(gradient: Array, param: Array) -> Float[Array, ""]:
            moved = param - jax.lax.stop_gradient(param)
            return jnp.vdot(jax.lax.stop_gradient(gradient), moved)

        parts = jax.tree.leaves(jax.tree.map(linear, self.gradient, params))
        value = jax.lax.stop_gradient(self.value)
        return jnp.mean(value) + sum(parts) / value.size


def regularization(
    regularizers: Sequence[Regularizer],
    task: TaskBatch,
    step: Step,
    num_steps: int,
    meta_step: Int[Array, ""],
) -> Regularization:
    """Adds up the regularizers that act at a step, each over the number of steps it acts at.

    **Arguments:** `regularizers`; `task`, the tasks of the unroll; `step`, of its probe;
    `num_steps`, its length; `meta_step`, for schedules of weights.

    **Raises:** `ValueError` if a regularizer acts at none of the steps.
    """
    params, batch = jax.lax.stop_gradient((step.params, step.batch))
    total = Regularization(jnp.zeros(task.num_tasks), jax.tree.map(jnp.zeros_like, params))
    for index, regularizer in enumerate(regularizers):
        num_acting = num_steps // regularizer.every
        if num_acting == 0:
            raise ValueError(
                f"A regularizer that acts at every {regularizer.every}th inner step never does in "
                f"a window of {num_steps}."
            )
        factor = regularizer.factor(meta_step) / num_acting
        keys = jax.random.split(jax.random.fold_in(step.key, index), task.num_tasks)

        def of_one_task(
            task: Task, params: Params, batch: Batch, key: PRNGKeyArray, own: Any = regularizer
        ) -> tuple[Float[Array, ""], Params]:
            return own.value_and_gradient(StepLoss(task, batch), params, key)

        def acting(total: Regularization, factor: Any = factor, keys: Any = keys) -> Any:
            value, gradient = task.over_tasks(of_one_task, params, batch, keys)
            return jax.tree.map(
                lambda sum, term: sum + factor * term, total, Regularization(value, gradient)
            )

        acts = step.index % regularizer.every == regularizer.every - 1
        total = (
            acting(total)
            if regularizer.every == 1
            else jax.lax.cond(acts, acting, lambda total: total, total)
        )
    return jax.tree.map(keep, total)
