"""The extreme eigenvalues of a loss's Hessian."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.flatness.hessian import curvature, hessian_product
from l2o.flatness.lanczos import RitzPairs, lanczos
from l2o.flatness.raveled import Loss, ravel
from l2o.tasks.checks import check_at_least
from l2o.tasks.task import Params


def spectral_norm(
    loss: Loss, params: Params, key: PRNGKeyArray, *, num_products: int = 40
) -> Float[Array, ""]:
    """The spectral norm of the Hessian: the largest magnitude of its eigenvalues.

    By Lanczos' method, which approaches it from below.

    **Arguments:** `loss`; `params`, where to measure; `key`, for the start; `num_products`, of the
    Hessian with a vector. With at least as many as there are parameters it is exact.

    **Raises:** `ValueError` if there are no parameters, or `num_products` is less than 1.
    """
    return jnp.max(jnp.abs(ritz_pairs(loss, params, key, num_products).values))


def top_eigenvalue(
    loss: Loss, params: Params, key: PRNGKeyArray, *, num_products: int = 40
) -> Float[Array, ""]:
    """The largest eigenvalue of the Hessian, with its sign.

    By Lanczos' method, which approaches it from below.

    **Arguments:** as for `spectral_norm`.

    **Raises:** `ValueError` if there are no parameters, or `num_products` is less than 1.
    """
    return ritz_pairs(loss, params, key, num_products).values[-1]


def ritz_pairs(loss: Loss, params: Params, key: PRNGKeyArray, num_products: int) -> RitzPairs:
    """Approximate eigenvalues and -vectors of the Hessian, the extreme ones first to converge.

    **Arguments:** as for `spectral_norm`.

    **Returns:** eigenvalues, ascending, and eigenvectors as raveled parameters.

    **Raises:** `ValueError` if there are no parameters, or `num_products` is less than 1.
    """
    check_at_least("num_products", num_products, 1)
    flat = ravel(loss, params)
    start = jax.random.normal(key, flat.params.shape, flat.params.dtype)
    return lanczos(hessian_product(flat.loss, flat.params), start, num_products)


def power_iteration(
    loss: Loss, params: Params, key: PRNGKeyArray, *, num_iterations: int = 10
) -> tuple[Float[Array, ""], Params]:
    """The eigenvalue of the Hessian that is largest in magnitude, with its sign, and its vector.

    Its derivative with respect to `params` is that of v'Hv at a constant v, which is exact where
    v is an eigenvector (the Hellmann-Feynman theorem): nothing is differentiated through the
    iteration. For accuracy take `spectral_norm`; this is the measure that is cheap to make small.

    **Arguments:** `loss`; `params`, where to measure; `key`, for the start; `num_iterations`,
    products of the Hessian with a vector before the last one.

    **Returns:** v'Hv, and v, of length 1, a pytree like `params`.

    **Raises:** `ValueError` if there are no parameters, or `num_iterations` is less than 0.
    """
    check_at_least("num_iterations", num_iterations, 0)
    flat = ravel(loss, params)
    product = hessian_product(flat.loss, jax.lax.stop_gradient(flat.params))

    def iterate(_: Array, vector: Float[Array, " size"]) -> Float[Array, " size"]:
        following = product(vector)
        norm = jnp.linalg.norm(following)
        return jnp.where(norm > 0, following / jnp.where(norm > 0, norm, 1), vector)

    start = jax.random.normal(key, flat.params.shape, flat.params.dtype)
    start = start / jnp.linalg.norm(start)
    vector = jax.lax.stop_gradient(jax.lax.fori_loop(0, num_iterations, iterate, start))
    return curvature(flat.loss, flat.params, vector), flat.unravel(vector)
