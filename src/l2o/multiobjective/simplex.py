"""The simplex of weights."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def project_onto_simplex(point: Float[Array, " m"]) -> Float[Array, " m"]:
    """The nearest non-negative numbers that sum to 1.

    Source: Held, Wolfe and Crowder 1974, Validation of subgradient optimization.
    """
    descending = -jnp.sort(-point)
    thresholds = (jnp.cumsum(descending) - 1) / jnp.arange(1, len(point) + 1)
    return jnp.maximum(point - jnp.max(thresholds), 0.0)
