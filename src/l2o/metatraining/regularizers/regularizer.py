"""Terms of the meta-loss that look at the task where the trajectory passes."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_number, check_size
from l2o.tasks import Params

Found = PyTree
"""What a regularizer looked for at some parameters, such as an eigenvector; held constant."""


def _weight(value: Any) -> Float[Array, ""]:
    """A weight as an array, which no program is compiled anew for."""
    is_array = isinstance(value, jax.Array) and value.ndim == 0
    if not isinstance(value, Tracer):
        check_number("weight", value.item() if is_array else value, least=0)
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


class Regularizer(eqx.Module):
    """A function of the parameters that a trajectory passes, to be added to the meta-loss.

    What it is a function of besides the parameters (an eigenvector, random directions, the end of
    an inner optimization) is found first and then held constant. So nothing is ever differentiated
    through an iteration, and a first-order meta-gradient only needs the regularizer's gradient
    with respect to the parameters.

    **Arguments:**

    - `weight`: its factor in the meta-loss, in which it is averaged over the steps it acts at, 0 or
      more.
    - `every`: acts at the last one of so many inner steps, and costs nothing at others.
    - `schedule`: a factor of the weight as a function of the meta-step, 1 by default.

    **Raises:** `ValueError` for numbers out of range, as all regularizers do.
    """

    weight: Float[Array, ""] = eqx.field(converter=_weight)
    every: int = eqx.field(static=True, default=1)
    schedule: Callable[[Int[Array, ""]], Float[Array, ""]] | None = eqx.field(
        static=True, default=None
    )

    def __check_init__(self) -> None:
        check_size("every", self.every)
        if self.schedule is not None and not callable(self.schedule):
            raise ValueError(f"schedule must be a function, got {self.schedule!r}.")

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
