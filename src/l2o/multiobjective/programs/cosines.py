"""A Gramian as norms and cosines."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian


def cosines_of(products: AnyGramian) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
    """Norms, and the cosines between the gradients.

    **Raises:** `ValueError` if it is not a square matrix.
    """
    gramian = as_gramian(products)
    return gramian.norms, gramian.cosines


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
