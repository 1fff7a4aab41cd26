"""The trace of the Hessian as a term of the meta-loss."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.flatness import curvature
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.support.checks import check_size
from l2o.tasks import Params


class HessianTrace(Regularizer):
    """The mean of v'Hv over vectors v of random signs, fresh ones each time.

    Its expectation is the trace (Hutchinson 1990), and so is its gradient's the trace's gradient.

    **Arguments:** as for `Regularizer`, and `num_probes`, vectors, at least 1.

    ```pycon
    >>> l2o.metatraining.HessianTrace(1e-3, num_probes=2).num_probes
    2
    ```
    """

    num_probes: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        check_size("num_probes", self.num_probes)

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> Params:
        """The vectors, along a leading axis."""
        del loss
        return random_signs(params, key, self.num_probes)

    def value(self, loss: SampledLoss, params: Params, found: Params) -> Float[Array, ""]:
        """The mean curvature along them."""
        return jnp.mean(jax.vmap(lambda probe: curvature(loss, params, probe))(found))


def random_signs(params: Params, key: PRNGKeyArray, count: int) -> Params:
    """Pytrees like the parameters with -1 or 1 everywhere, stacked along a leading axis."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    signs = [
        jax.random.rademacher(key, (count, *leaf.shape), leaf.dtype)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, signs)
