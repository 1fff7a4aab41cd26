"""From several losses to one, before any gradient is taken."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.multiobjective.presence import mean_of_present
from l2o.support.checks import check_number
from l2o.support.scaling import length_and_unit


def geometric_mean(losses: Float[Array, " m"]) -> Float[Array, ""]:
    """The geometric mean of positive losses: every loss counts by its relative change.

    Others, such as zero for a task without labels, are left out, and have derivatives of zero.

    Source: Chennupati et al. 2019, MultiNet++.

    ```pycon
    >>> print(f"{l2o.multiobjective.geometric_mean(jnp.array([1.0, 4.0])):.3f}")
    2.000
    ```
    """
    present = (losses > 0.0) & jnp.isfinite(losses)
    return jnp.exp(mean_of_present(jnp.log(jnp.where(present, losses, 1.0)), present))


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

    **Raises:** `ValueError` if mu is not larger than 0, or there are not m weights.

    ```pycon
    >>> print(f"{l2o.multiobjective.stch(jnp.array([1.0, 4.0]), mu=0.01):.3f}")
    2.000
    ```
    """
    check_number("mu", mu, above=0)
    weights = _preference_or_mean(losses, preference)
    return mu * jax.nn.logsumexp(weights * (losses - jnp.asarray(reference)) / mu)


def pbi(
    losses: Float[Array, " m"],
    *,
    penalty: float = 5.0,
    preference: ArrayLike | None = None,
    reference: ArrayLike = 0.0,
) -> Float[Array, ""]:
    """Penalty-based boundary intersection: `along + penalty across`.

    Of the vector from the reference to the losses, `along` is its component along the preference,
    and `across` its distance to it.

    Source: Zhang and Li 2007, MOEA/D, section II.C.

    **Arguments:** `losses`; `penalty`, at least 0, theta in the paper; `preference`, a direction
    of m numbers, by default that of equal losses; `reference`, a lower bound of the losses.

    **Raises:** `ValueError` if the penalty is negative, or the preference does not have m numbers.

    ```pycon
    >>> print(f"{l2o.multiobjective.pbi(jnp.array([1.0, 1.0])):.3f}")
    1.414
    ```
    """
    check_number("penalty", penalty, least=0)
    weights = _preference_or_mean(losses, preference)
    _, direction = length_and_unit(weights)
    offset = losses - jnp.asarray(reference)
    along = offset @ direction
    across, _ = length_and_unit(offset - along * direction)
    return along + penalty * across


def cosmos(
    losses: Float[Array, " m"], *, penalty: float = 1.0, preference: ArrayLike | None = None
) -> Float[Array, ""]:
    """A weighted sum, less `penalty` times the cosine between the losses and the weights.

    The cosine pulls the losses to their preferred proportions, which spreads solutions for
    different preferences over the front.

    Source: Ruchte and Grabocka 2021, Scalable Pareto Front Approximation for Deep Multi-Objective
    Learning, without the network that gets the preference as an input.

    **Arguments:** `losses`; `penalty`, at least 0, lambda in the paper; `preference`, m weights,
    by default `1 / m`.

    **Raises:** `ValueError` if the penalty is negative, or there are not m weights.

    ```pycon
    >>> print(f"{l2o.multiobjective.cosmos(jnp.array([3.0, 1.0]), penalty=1.0):.3f}")
    1.106
    ```
    """
    check_number("penalty", penalty, least=0)
    weights = _preference_or_mean(losses, preference)
    cosine = length_and_unit(weights)[1] @ length_and_unit(losses)[1]
    return weights @ losses - penalty * cosine


def _preference_or_mean(
    losses: Float[Array, " m"], preference: ArrayLike | None
) -> Float[Array, " m"]:
    if preference is None:
        return jnp.full_like(losses, 1 / len(losses))
    weights = jnp.asarray(preference, losses.dtype)
    if weights.shape != losses.shape:
        raise ValueError(f"There must be {len(losses)} weights, got shape {weights.shape}.")
    return weights
