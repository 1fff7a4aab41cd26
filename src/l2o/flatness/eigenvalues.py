"""The extreme eigenvalues of a loss's Hessian."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness._lanczos import RitzPairs, lanczos
from l2o.flatness.hessian import hessian_product
from l2o.flatness.raveled import Loss, ravel
from l2o.support.checks import check_size
from l2o.support.keys import check_key


def spectral_norm(
    loss: Loss, params: PyTree, key: PRNGKeyArray, *, num_products: int = 40
) -> Float[Array, ""]:
    """The spectral norm of the Hessian: the largest magnitude of its eigenvalues.

    By Lanczos' method, which approaches it from below.

    **Arguments:** `loss`; `params`, where to measure; `key`, for the start; `num_products`, of the
    Hessian with a vector. With at least as many as there are parameters it is exact.

    **Raises:** `ValueError` if there are no parameters, or `num_products` is less than 1.

    ```pycon
    >>> loss = lambda x: x @ jnp.diag(jnp.array([1.0, 2.0, -5.0])) @ x / 2
    >>> print(f"{l2o.flatness.spectral_norm(loss, jnp.zeros(3), jax.random.key(0)):.3f}")
    5.000
    ```
    """
    return jnp.max(jnp.abs(ritz_pairs(loss, params, key, num_products).values))


def top_eigenvalue(
    loss: Loss, params: PyTree, key: PRNGKeyArray, *, num_products: int = 40
) -> Float[Array, ""]:
    """The largest eigenvalue of the Hessian, with its sign.

    By Lanczos' method, which approaches it from below.

    **Arguments:** as for `spectral_norm`.

    **Raises:** `ValueError` if there are no parameters, or `num_products` is less than 1.

    ```pycon
    >>> loss = lambda x: x @ jnp.diag(jnp.array([1.0, 2.0, -5.0])) @ x / 2
    >>> print(f"{l2o.flatness.top_eigenvalue(loss, jnp.zeros(3), jax.random.key(0)):.3f}")
    2.000
    ```
    """
    return ritz_pairs(loss, params, key, num_products).values[-1]


def ritz_pairs(loss: Loss, params: PyTree, key: PRNGKeyArray, num_products: int) -> RitzPairs:
    """Approximate eigenvalues and -vectors of the Hessian, the extreme ones first to converge.

    **Arguments:** as for `spectral_norm`.

    **Returns:** eigenvalues, ascending, and eigenvectors as raveled parameters.

    **Raises:** `ValueError` if there are no parameters, or `num_products` is less than 1.

    ```pycon
    >>> loss = lambda x: x @ jnp.diag(jnp.array([1.0, 2.0, 5.0])) @ x / 2
    >>> l2o.flatness.ritz_pairs(loss, jnp.zeros(3), jax.random.key(0), 3).values.round(3)
    Array([1., 2., 5.], dtype=float32)
    ```
    """
    check_size("num_products", num_products)
    flat = ravel(loss, params)
    check_key(key)
    start = jax.random.normal(key, flat.params.shape, flat.params.dtype)
    return lanczos(hessian_product(flat.loss, flat.params), start, num_products)
