"""Local entropy: how much room a loss leaves around its parameters."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.flatness.eigenvalues import ritz_pairs
from l2o.flatness.estimate import Estimate, draw
from l2o.flatness.raveled import Loss, ravel
from l2o.tasks.checks import check_at_least
from l2o.tasks.task import Params


def entropy_gap(
    loss: Loss,
    params: Params,
    gamma: Float[ArrayLike, ""],
    key: PRNGKeyArray,
    *,
    num_samples: int = 32,
    rank: int = 10,
) -> Estimate:
    """The normalised local entropy: -ln E exp(f(x) - f(x + d)), d normal with variance 1 / gamma.

    It is Delta = -G - f(x) - (n / 2) ln(gamma / 2 pi), where G is the local entropy of Chaudhari
    et al. (2017) and n the number of parameters; the normalisation is ours. It is 0 for a constant
    loss, and large where the loss rises within 1 / sqrt(gamma).

    The mean is taken by importance sampling. Samples come from the normal distribution that would
    be right if the loss were a quadratic with the curvatures that `rank` steps of Lanczos' method
    find, and flat, with no slope, in all other directions; they come in pairs of opposite signs.

    **Arguments:**

    - `loss`; `params`, x.
    - `gamma`: the inverse of the variance of each parameter's perturbation.
    - `key`.
    - `num_samples`: pairs.
    - `rank`: products of the Hessian to spend on the proposal; 0 for perturbations as defined,
      which need no second derivatives. With as many as there are parameters, convex quadratics
      come out exact.

    **Returns:** the estimate with its standard error over pairs, to first order in it. Where that
    is not small, both are unreliable, and the value is too large rather than too small.

    **Raises:** `ValueError` if there are no parameters, or a number is out of range.
    """
    check_at_least("rank", rank, 0)
    proposal_key, sample_key = jax.random.split(key)
    flat = ravel(loss, params)
    centre = flat.params
    base, gradient = jax.value_and_grad(flat.loss)(centre)
    gamma = jnp.asarray(gamma, centre.dtype)
    if rank > 0:
        pairs = ritz_pairs(flat.loss, centre, proposal_key, rank)
        directions = pairs.vectors
        # Directions of negative curvature are left as they are: a proposal must not be too narrow.
        curvatures = jnp.where(jnp.sum(directions**2, 1) > 0.5, jnp.maximum(pairs.values, 0), 0)
    else:
        directions = jnp.zeros((0, centre.size), centre.dtype)
        curvatures = jnp.zeros(0, centre.dtype)
    precision = gamma + curvatures
    shift = -(directions @ gradient) / precision
    shrinkage = jnp.sqrt(gamma / precision)

    def log_weights(key: PRNGKeyArray) -> Float[Array, "2"]:
        normal = jax.random.normal(key, centre.shape, centre.dtype) / jnp.sqrt(gamma)
        along = directions @ normal
        spread = normal + directions.T @ ((shrinkage - 1) * along)

        def log_weight(sign: int) -> Float[Array, ""]:
            # Target and proposal differ along the directions alone.
            coordinates = shift + sign * shrinkage * along
            log_ratio = jnp.sum(
                gamma * (along**2 - coordinates**2) / 2 + jnp.log(gamma / precision) / 2
            )
            deviation = directions.T @ shift + sign * spread
            return base - flat.loss(centre + deviation) + log_ratio

        return jnp.stack([log_weight(1), log_weight(-1)])

    logs = jax.nn.logsumexp(draw(log_weights, sample_key, num_samples), 1) - jnp.log(2)
    value = jnp.log(num_samples) - jax.nn.logsumexp(logs)
    relative = jnp.exp(logs + value)
    return Estimate(value, jnp.std(relative, ddof=1) / jnp.sqrt(num_samples))
