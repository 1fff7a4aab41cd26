"""Local entropy: how much room a loss leaves around its parameters."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness.eigenvalues import ritz_pairs
from l2o.flatness.estimate import Estimate, draw
from l2o.flatness.raveled import Loss, ravel
from l2o.support.checks import check_size
from l2o.support.keys import check_key
from l2o.support.scaling import standard_deviation


def entropy_gap(
    loss: Loss,
    params: PyTree,
    gamma: Float[ArrayLike, ""],
    key: PRNGKeyArray,
    *,
    num_samples: int = 32,
    rank: int = 10,
) -> Estimate:
    """The normalised local entropy: -ln E exp(f(x) - f(x + d)), d normal with variance 1 / gamma.

    It is Delta = -G - f(x) - (n / 2) ln(gamma / 2 pi), where G is the local entropy of Chaudhari
    et al. (2017) and n the number of parameters; the normalisation is ours. It is 0 for a constant
    loss, and large where the loss rises within 1 / sqrt(gamma). It is no multiple of the loss, but
    as precise for a loss of 1e-25 times another, and for a large one as far as the precision of the
    parameters tells x + d from x: single precision does not for parameters of 1 where
    gamma + lambda is above some 1e12.

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

    ```pycon
    >>> loss = lambda x: 5 * jnp.sum(x**2)
    >>> gap = l2o.flatness.entropy_gap(loss, jnp.zeros(1), 10.0, jax.random.key(0), rank=1)
    >>> print(f"{gap.value:.3f}")  # exact for quadratics: ln(2) / 2
    0.347
    ```
    """
    check_size("rank", rank, least=0)
    check_key(key)
    proposal_key, sample_key = jax.random.split(key)
    flat = ravel(loss, params)
    centre = flat.params
    base, gradient = jax.value_and_grad(flat.loss)(centre)
    gamma = jnp.asarray(gamma, centre.dtype)
    if rank > 0:
        pairs = ritz_pairs(flat.loss, centre, proposal_key, rank)
        directions = pairs.vectors
        # Directions of negative curvature are left as they are: a proposal must not be too narrow.
        curvatures = jnp.maximum(pairs.values, 0)
    else:
        directions = jnp.zeros((0, centre.size), centre.dtype)
        curvatures = jnp.zeros(0, centre.dtype)
    # In terms of the ratio, differences of nearly equal numbers are written out.
    ratio = curvatures / gamma
    shift = -(directions @ gradient) / (gamma + curvatures)
    shrinkage = 1 / jnp.sqrt(1 + ratio)
    widening = -ratio / (1 + ratio + jnp.sqrt(1 + ratio))

    def log_weights(key: PRNGKeyArray) -> Float[Array, "2"]:
        normal = jax.random.normal(key, centre.shape, centre.dtype) / jnp.sqrt(gamma)
        along = directions @ normal
        spread = normal + directions.T @ (widening * along)

        def log_weight(sign: int) -> Float[Array, ""]:
            # Target and proposal differ along the directions alone.
            excess = along**2 * ratio / (1 + ratio) - shift * (shift + 2 * sign * shrinkage * along)
            log_ratio = jnp.sum(gamma * excess - jnp.log1p(ratio)) / 2
            deviation = directions.T @ shift + sign * spread
            return base - flat.loss(centre + deviation) + log_ratio

        return jnp.stack([log_weight(1), log_weight(-1)])

    logs = _log_mean_exp(draw(log_weights, sample_key, num_samples), 1)
    value = -_log_mean_exp(logs, 0)
    error = standard_deviation(jnp.expm1(logs + value)) / jnp.sqrt(num_samples)
    return Estimate(value, error)


def _log_mean_exp(logs: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """The logarithm of the mean exponential along an axis, as precise near 0 as elsewhere."""
    highest = jnp.max(logs, axis, keepdims=True)
    highest = jnp.where(jnp.isfinite(highest), highest, 0)
    rest = jnp.log1p(jnp.mean(jnp.expm1(logs - highest), axis))
    return jnp.squeeze(highest, axis) + rest
