"""A Gramian as norms and cosines."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Cosines(NamedTuple):
    """Gradients' norms and the cosines between them: `G = diag(norms) C diag(norms)`."""

    norms: Float[Array, " m"]
    cosines: Float[Array, "m m"]
    """The diagonal is 1; the row and column of a gradient that is zero are zero elsewhere."""


def cosines_of(gramian: Float[Array, "m m"]) -> Cosines:
    """Splits a Gramian, so that nothing that follows meets gradients of very different size.

    **Arguments:** `gramian`, of inner products of the gradients.

    **Raises:** `ValueError` if it is not a square matrix.
    """
    if gramian.ndim != 2 or gramian.shape[0] != gramian.shape[1] or gramian.shape[0] == 0:
        raise ValueError(f"A Gramian is a square matrix (m, m), got shape {gramian.shape}.")
    m = len(gramian)
    squares = jnp.diag(gramian)
    is_zero = squares <= 0.0
    norms = jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, squares)))
    divisors = jnp.where(is_zero, 1.0, norms)
    # Divided one after the other: products of norms may leave the range of numbers.
    cosines = gramian / divisors[:, None] / divisors
    cosines = jnp.where(is_zero[:, None] | is_zero, 0.0, cosines)
    cosines = jnp.clip(cosines, -1.0, 1.0)
    cosines = jnp.where(jnp.eye(m, dtype=bool), 1.0, cosines)
    return Cosines(norms, cosines)


def weights_from_scaled_rows(
    rows: Float[Array, "m m"], norms: Float[Array, " m"]
) -> Float[Array, " m"]:
    """Weights of a sum of m combinations of the gradients.

    **Arguments:** `rows`, where combination i is norm i times row i's combination of the
    gradients divided by their norms; `norms`, of the gradients.

    **Returns:** the weights of the gradients themselves; of a gradient that is zero, 1.
    """
    is_zero = norms == 0.0
    return jnp.where(is_zero, 1.0, norms @ rows / jnp.where(is_zero, 1.0, norms))
