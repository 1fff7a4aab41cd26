"""Sharpness in the direction of the gradient as a term of the meta-loss."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_number
from l2o.support.scaling import power_of_two
from l2o.tasks import Params


class SAMSharpness(Regularizer):
    """How much the loss rises within a distance along its gradient: f(x + rho g / |g|) - f(x).

    The ascent direction is held constant, as in *Sharpness-Aware Minimization*, Foret et al., ICLR
    2021, which minimises the first term alone.

    **Arguments:** as for `Regularizer`, and `rho`, the distance, 0 or more.

    ```pycon
    >>> l2o.metatraining.SAMSharpness(0.1, rho=0.02).rho
    0.02
    ```
    """

    rho: float = eqx.field(static=True, default=0.05)

    def __check_init__(self) -> None:
        check_number("rho", self.rho, least=0)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The step uphill."""
        del key
        gradient = jax.grad(loss)(params)
        power = power_of_two(ravel_pytree(gradient)[0])
        scaled = jax.tree.map(lambda leaf: leaf / power, gradient)
        norm = optax.global_norm(scaled)
        # At a gradient of zero there is no direction, and the step is zero.
        length = jnp.where(norm > 0, norm, 1)
        return jax.tree.map(lambda leaf: self.rho * leaf / length, scaled)

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The rise."""
        return loss(jax.tree.map(jnp.add, params, found)) - loss(params)
