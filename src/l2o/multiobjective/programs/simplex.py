"""The simplex of weights."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def project_onto_simplex(point: Float[Array, " m"]) -> Float[Array, " m"]:
    """The nearest non-negative numbers that sum to 1; zero where the point is minus infinity.

    Source: Held, Wolfe and Crowder 1974, Validation of subgradient optimization.
    """
    # Only differences matter, and beside large numbers the 1 would be lost.
    point = point - jnp.max(point)
    descending = -jnp.sort(-point)
    thresholds = (jnp.cumsum(descending) - 1) / jnp.arange(1, len(point) + 1)
    return jnp.maximum(point - jnp.max(thresholds), 0.0)


def project_present(point: Float[Array, " m"], present: Bool[Array, " m"]) -> Float[Array, " m"]:
    """The same for the coordinates that are present; zero for the others."""
    projected = project_onto_simplex(jnp.where(present, point, -jnp.inf))
    return jnp.where(present, projected, 0.0)


def shared_among(
    weights: Float[Array, " m"], present: Bool[Array, " m"]
) -> tuple[Float[Array, " m"], Float[Array, ""]]:
    """Weights of those present alone, and what these had of the whole.

    **Arguments:** `weights`, on the simplex; `present`.

    **Returns:** weights that sum to 1, equal ones where nothing was left; their sum before.
    """
    held = jnp.where(present, weights, 0.0)
    total = jnp.sum(held)
    equal = present / jnp.maximum(jnp.sum(present), 1)
    return jnp.where(total > 0.0, held / jnp.where(total > 0.0, total, 1.0), equal), total
