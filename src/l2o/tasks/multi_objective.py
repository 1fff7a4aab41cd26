"""The protocol of a task with several losses of the same parameters."""

import abc

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.tasks.task import Batch, Params, Task


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
