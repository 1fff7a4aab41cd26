"""The trace of a loss's Hessian."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness.estimate import Estimate, mean_of
from l2o.flatness.hessian import hessian_product
from l2o.flatness.raveled import Loss, ravel


def trace(loss: Loss, params: PyTree, key: PRNGKeyArray, *, num_probes: int = 32) -> Estimate:
    """The trace of the Hessian, the sum of its eigenvalues.

    The mean of v'Hv over vectors v of random signs, which is exact for a diagonal Hessian.
    Source: Hutchinson 1990.

    **Arguments:** `loss`; `params`, where to measure; `key`, for the vectors; `num_probes`, their
    number.

    **Returns:** the estimate with its standard error; `float` of it is its value.

    **Raises:** `ValueError` if there are no parameters or no probes.

    ```pycon
    >>> loss = lambda x: x @ jnp.diag(jnp.array([1.0, 2.0, 5.0])) @ x / 2
    >>> estimate = l2o.flatness.trace(loss, jnp.zeros(3), jax.random.key(0), num_probes=4)
    >>> float(estimate.value)
    8.0
    ```
    """
    flat = ravel(loss, params)
    product = hessian_product(flat.loss, flat.params)

    def sample(key: PRNGKeyArray) -> Float[Array, ""]:
        probe = jax.random.rademacher(key, flat.params.shape, flat.params.dtype)
        return jnp.vdot(probe, product(probe))

    return mean_of(sample, key, num_probes)
