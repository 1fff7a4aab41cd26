"""Terms of the meta-loss that look at the task where the trajectory passes."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.tasks import Params
from l2o.tasks.checks import check_at_least

Found = PyTree
"""What a regularizer looked for at some parameters, such as an eigenvector; held constant."""


class Regularizer(eqx.Module):
    """A function of the parameters that a trajectory passes, to be added to the meta-loss.

    What it is a function of besides the parameters (an eigenvector, random directions, the end of
    an inner optimization) is found first and then held constant. So nothing is ever differentiated
    through an iteration, and a first-order meta-gradient only needs the regularizer's gradient
    with respect to the parameters.

    **Arguments:** `weight`, its factor in the meta-loss, in which it is averaged over the steps it
    acts at; `every`, it acts at the last one of so many inner steps, and costs nothing at others;
    `schedule`, a factor of the weight as a function of the meta-step, 1 by default.
    """

    weight: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    every: int = eqx.field(static=True, default=1)
    schedule: Callable[[Int[Array, ""]], Float[Array, ""]] | None = eqx.field(
        static=True, default=None
    )

    def __check_init__(self) -> None:
        check_at_least("every", self.every, 1)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Found:
        """Looks for what `value` takes as constant; by default nothing.

        **Arguments:** `loss`, the task's at this step; `params`; `key`.
        """
        del loss, params, key

    @abc.abstractmethod
    def value(self, loss: SampledLoss, params: Params, found: Found) -> Float[Array, ""]:
        """The regularizer, whose gradient with respect to `params` is taken.

        **Arguments:** `loss`, the task's at this step; `params`; `found`, by `find`.
        """

    def value_and_gradient(
        self, loss: SampledLoss, params: Params, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Params]:
        """The regularizer without its weight, and its gradient with respect to the parameters."""
        found = self.find(loss, params, key)
        return jax.value_and_grad(lambda params: self.value(loss, params, found))(params)

    def factor(self, meta_step: Int[Array, ""]) -> Float[Array, ""]:
        """Its weight at a meta-step."""
        return self.weight if self.schedule is None else self.weight * self.schedule(meta_step)
