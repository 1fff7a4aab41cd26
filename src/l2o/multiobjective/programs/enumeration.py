"""Programs over the non-negative orthant of very few coordinates: all supports at once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

MOST_COORDINATES = 5
_ROUNDING = 2.3e-4


def enumerate_supports(
    matrix: Float[Array, "m m"], linear: Float[Array, "programs m"]
) -> Float[Array, "programs m"]:
    """Solves `min x'Mx / 2 + q'x` over `x >= 0` for many q, from all sets of positive coordinates.

    Of 2^m sets one has all signs right. For a handful of coordinates, one factor of each takes no
    longer than looking for it, and a program without loops compiles in a fraction of the time.

    **Arguments:** `matrix`, M, positive definite, with a diagonal of about 1, in double precision;
    `linear`, q, one a row.

    **Returns:** x, one a row.
    """
    m = len(matrix)
    supports = np.array(list(itertools.product([False, True], repeat=m)))
    pairs = supports[:, :, None] & supports[:, None, :]
    factors = jnp.linalg.cholesky(jnp.where(pairs, matrix, jnp.eye(m)), symmetrize_input=False)
    inside = jnp.asarray(supports)[:, None, :]

    def solve(factor: Float[Array, "m m"], right: Float[Array, "programs m"]) -> Array:
        return jax.scipy.linalg.cho_solve((factor, True), right.T).T

    x = jax.vmap(solve)(factors, jnp.where(inside, -linear, 0.0))
    slopes = x @ matrix + linear
    size = jnp.max(jnp.abs(x), axis=2, keepdims=True)
    # What rounding makes of a slope grows with x.
    scale = jnp.max(jnp.abs(linear), axis=1, keepdims=True) + _ROUNDING * m * size
    wrong = jnp.where(inside, -x / jnp.maximum(size, 1e-300), -slopes / jnp.maximum(scale, 1e-300))
    worst = jnp.max(wrong, axis=2)
    # Several only if they are the same, with zeros inside of a support.
    is_best = worst <= jnp.min(worst, axis=0)
    total = jnp.sum(jnp.where(is_best[..., None], x, 0.0), axis=0)
    return jnp.maximum(total / jnp.sum(is_best, axis=0)[:, None], 0.0)
