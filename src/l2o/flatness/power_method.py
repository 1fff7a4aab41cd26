"""The power method for the eigenvalue of a loss's Hessian that is largest in magnitude."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness.hessian import curvature, hessian_product
from l2o.flatness.raveled import Loss, ravel
from l2o.support.checks import check_size
from l2o.support.keys import check_key
from l2o.support.scaling import length_and_unit

Vector = Float[Array, " size"]


def power_iteration(
    loss: Loss, params: PyTree, key: PRNGKeyArray, *, num_iterations: int = 10
) -> tuple[Float[Array, ""], PyTree]:
    """The eigenvalue of the Hessian that is largest in magnitude, with its sign, and its vector.

    Its derivative with respect to `params` is that of v'Hv at a constant v, which is exact where
    v is an eigenvector (the Hellmann-Feynman theorem): nothing is differentiated through the
    iteration. For accuracy take `spectral_norm`; this is the measure that is cheap to make small.

    Where eigenvalues of opposite signs are about as large, such as 1 and -1 for the loss x y, the
    iteration alone ends in a mixture of their vectors, whose v'Hv is anything between. The last
    three vectors, of which there are so many from two iterations on, tell the two apart, and v is
    the one whose eigenvalue is the larger in magnitude, or for a tie the one nearer to the mixture.

    **Arguments:** `loss`; `params`, where to measure; `key`, for the start; `num_iterations`,
    products of the Hessian with a vector before the last one.

    **Returns:** v'Hv, and v, of length 1, a pytree like `params`.

    **Raises:** `ValueError` if there are no parameters, or `num_iterations` is less than 0.

    ```pycon
    >>> loss = lambda x: x @ jnp.diag(jnp.array([1.0, 2.0, -5.0])) @ x / 2
    >>> eigenvalue, vector = l2o.flatness.power_iteration(loss, jnp.zeros(3), jax.random.key(0))
    >>> print(f"{eigenvalue:.2f}")
    -5.00
    ```
    """
    check_size("num_iterations", num_iterations, least=0)
    flat = ravel(loss, params)
    product = hessian_product(flat.loss, jax.lax.stop_gradient(flat.params))

    def iterate(
        _: Array, carry: tuple[Vector, Vector, Vector, Float[Array, ""], Float[Array, ""]]
    ) -> tuple[Vector, Vector, Vector, Float[Array, ""], Float[Array, ""]]:
        _, before, vector, _, norm_before = carry
        norm, following = length_and_unit(product(vector))
        return before, vector, jnp.where(norm > 0, following, vector), norm_before, norm

    check_key(key)
    start = jax.random.normal(key, flat.params.shape, flat.params.dtype)
    start = start / jnp.linalg.norm(start)
    nothing = jnp.zeros((), start.dtype)
    last = jax.lax.fori_loop(0, num_iterations, iterate, (start, start, start, nothing, nothing))
    vector = jax.lax.stop_gradient(_without_opposite(*last))
    return curvature(flat.loss, flat.params, vector), flat.direction(vector)


def _without_opposite(
    first: Vector,
    second: Vector,
    third: Vector,
    first_norm: Float[Array, ""],
    second_norm: Float[Array, ""],
) -> Vector:
    """The last vector of a power iteration, rid of an eigenvector of the opposite sign.

    By the Rayleigh-Ritz method on the span of the first two, whose images under H are known:
    H `first` = `first_norm` `second` and H `second` = `second_norm` `third`, all of length 1. The
    Ritz vector is multiplied with H once more, as `third` is.

    Without a second Ritz value of the opposite sign, or where that lowers the Rayleigh quotient
    by less than the root of eps, the last vector is handed back as it is.
    """
    eps = jnp.finfo(third.dtype).eps
    overlap, quotient = jnp.vdot(first, second), jnp.vdot(second, third)
    sine = length_and_unit(first - overlap * second)[0]
    # An angle below that is too near to rounding, and too small to matter.
    is_apart = sine > eps**0.25
    sine = jnp.where(is_apart, sine, 1)
    ratio = first_norm / jnp.where(second_norm > 0, second_norm, 1)
    # H, over `second_norm`, in the basis of `second` and what `first` adds to it.
    coupling = (ratio - overlap * quotient) / sine
    other = -overlap * coupling / sine
    mean, half = (quotient + other) / 2, (quotient - other) / 2
    radius = jnp.hypot(half, coupling)
    is_tie = jnp.abs(mean) <= eps**0.5 * radius
    upper = jnp.where(is_tie, quotient, mean) >= 0
    value = mean + jnp.where(upper, radius, -radius)
    is_mixed = is_apart & (radius > jnp.abs(mean)) & (quotient / value < 1 - eps**0.5)
    angle = jnp.arctan2(coupling, half) / 2
    cosine = jnp.where(upper, jnp.cos(angle), -jnp.sin(angle))
    slant = jnp.where(upper, jnp.sin(angle), jnp.cos(angle)) / sine
    image = (cosine - slant * overlap) * third + slant * ratio * second
    return jnp.where(is_mixed, length_and_unit(image)[1], third)
