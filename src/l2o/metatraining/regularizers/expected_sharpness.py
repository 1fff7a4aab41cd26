"""Expected sharpness as a term of the meta-loss."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_number, check_size
from l2o.tasks import Params


class ExpectedSharpness(Regularizer):
    """How much the loss rises on average when normal noise is added to the parameters.

    E[f(x + sigma z)] - f(x), over pairs of z and -z, so that the slope of f drops out. To second
    order it is sigma^2 / 2 times the trace of the Hessian. It needs first derivatives only, and is
    not in the paper on flatness-aware learned optimizers.

    **Arguments:** as for `Regularizer`, and `sigma`, the noise's standard deviation, 0 or more;
    `num_pairs`, at least 1.

    ```pycon
    >>> l2o.metatraining.ExpectedSharpness(0.1, sigma=0.02).sigma
    0.02
    ```
    """

    sigma: float = eqx.field(static=True, default=0.05)
    num_pairs: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        check_number("sigma", self.sigma, least=0)
        check_size("num_pairs", self.num_pairs)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The noise, along a leading axis."""
        del loss
        keys = jax.random.split(key, self.num_pairs)
        return jax.vmap(lambda key: optax.tree.random_like(key, params))(keys)

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The mean rise."""

        def rise(noise: Params) -> Float[Array, ""]:
            def moved(distance: float) -> Float[Array, ""]:
                return loss(jax.tree.map(lambda p, z: p + distance * z, params, noise))

            return (moved(self.sigma) + moved(-self.sigma)) / 2 - loss(params)

        return jnp.mean(jax.vmap(rise)(found))
