"""From several losses to one, before any gradient is taken."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def geometric_mean(losses: Float[Array, " m"]) -> Float[Array, ""]:
    """The geometric mean of positive losses: every loss counts by its relative change.

    Source: Chennupati et al. 2019, MultiNet++.
    """
    return jnp.exp(jnp.mean(jnp.log(losses)))


def stch(
    losses: Float[Array, " m"],
    *,
    mu: float = 0.1,
    preference: ArrayLike | None = None,
    reference: ArrayLike = 0.0,
) -> Float[Array, ""]:
    """Smooth Tchebycheff scalarisation: `mu logsumexp(preference (losses - reference) / mu)`.

    Its minima for all preferences are the whole Pareto front, also where that is not convex.

    Source: Lin et al. 2024, Smooth Tchebycheff Scalarization for Multi-Objective Optimization.

    **Arguments:** `losses`; `mu`, larger than 0, the smaller the closer to the maximum;
    `preference`, m weights, by default `1 / m`; `reference`, the losses wished for.

    **Raises:** `ValueError` if mu is not larger than 0.
    """
    if mu <= 0:
        raise ValueError(f"mu must be larger than 0, got {mu}.")
    weights = 1 / len(losses) if preference is None else jnp.asarray(preference)
    return mu * jax.nn.logsumexp(weights * (losses - jnp.asarray(reference)) / mu)
