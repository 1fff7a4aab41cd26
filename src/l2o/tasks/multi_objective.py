"""The protocol of a task with several losses of the same parameters, and how many there are."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.tasks.task import Batch, Params, Task, TaskFamily, check_family


class MultiObjectiveTask(Task):
    """An optimizee with m losses, all to be made small.

    The inner loop hands the optimizer all losses as `value`, and as gradients a Jacobian: every
    leaf has the leading axis m. What takes one gradient goes behind an aggregator
    (`l2o.multiobjective.aggregate`).
    """

    @abc.abstractmethod
    def losses(self, params: Params, batch: Batch) -> Float[Array, " m"]:
        """The training losses of `params` on `batch`."""

    def loss(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """The mean of all losses, for whatever looks at a single one."""
        return jnp.mean(self.losses(params, batch))

    def value(self, params: Params, batch: Batch) -> Float[Array, " m"]:
        """All losses."""
        return self.losses(params, batch)

    def value_and_grad(self, params: Params, batch: Batch) -> tuple[Float[Array, " m"], Params]:
        """All losses and their gradients, stacked along the leading axis of every leaf."""
        losses, pullback = jax.vjp(lambda params: self.losses(params, batch), params)
        (jacobian,) = jax.vmap(pullback)(jnp.eye(len(losses), dtype=losses.dtype))
        return losses, jacobian


def count_objectives(family: TaskFamily) -> int | None:
    """How many losses optimizers are told of on the tasks of a family; nothing is computed.

    **Returns:** m, or `None` where it is a number rather than an array of m.

    **Raises:** `ValueError` if it is an array of another shape.
    """
    check_family(family)

    def value(family: TaskFamily, key: PRNGKeyArray) -> Float[Array, "..."]:
        task = family.sample(key)
        return jnp.asarray(task.value(task.init(key), task.sample(key)))

    shape = eqx.filter_eval_shape(value, family, jax.random.key(0)).shape
    if len(shape) > 1:
        raise ValueError(
            f"The value of a task is a loss, or a vector of losses; {family.title} has tasks with "
            f"one of shape {shape}."
        )
    return shape[0] if shape else None
