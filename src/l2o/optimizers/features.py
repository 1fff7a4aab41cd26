"""Input features: what a learned optimizer sees of the gradients."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from l2o.optimizers.parameters import bounded


def log_and_sign(
    gradient: Float[Array, " coordinates"], steepness: float
) -> Float[Array, "2 coordinates"]:
    """The gradient's logarithm and sign, so that all magnitudes can be told apart.

    `(max(ln(|g| + eps) / k, -1), clip(g e^k, -1, 1))` for `k = steepness`, with the machine's
    precision as `eps` (Andrychowicz et al. 2016, appendix A, as in the public code of Chen et
    al. 2020).
    """
    magnitude = jnp.abs(gradient) + jnp.finfo(gradient.dtype).eps
    logarithm = jnp.maximum(jnp.log(magnitude) / steepness, -1.0)
    sign = jnp.clip(gradient * jnp.exp(steepness), -1.0, 1.0)
    return jnp.stack([logarithm, sign])


def log1p_and_sign(gradient: Float[Array, " coordinates"]) -> Float[Array, "2 coordinates"]:
    """`(ln(1 + |g|), sign(g))`, the log input of Maheswaranathan et al. 2021's public code."""
    return jnp.stack([jnp.log1p(jnp.abs(gradient)), jnp.sign(gradient)])


class Moments(eqx.Module):
    """Exponential averages of the gradient and of its square, as Adam keeps them."""

    first: Float[Array, " coordinates"]
    second: Float[Array, " coordinates"]


def adam_features(
    gradient: Float[Array, " coordinates"],
    moments: Moments,
    step: Int[Array, ""],
    decay: float,
    offset: float = 1e-8,
) -> tuple[Float[Array, "2 coordinates"], Moments]:
    """Adam's direction and the gradient on the same scale (Lv et al. 2017, section 4.1).

    **Arguments:** `gradient`, of which magnitudes above 1e15 count as 1e15, since a second moment
    that overflows would be infinite for ever; `moments` before this step; `step`, counted from 0;
    `decay`, of both averages; `offset`, added to the root.

    **Returns:** `(m / (sqrt(v) + offset), g / (sqrt(v) + offset))` with bias-corrected averages
    `m` and `v`, and the new moments.
    """
    gradient = bounded(gradient)
    first = decay * moments.first + (1 - decay) * gradient
    second = decay * moments.second + (1 - decay) * gradient**2
    correction = 1 - decay ** (step + 1).astype(gradient.dtype)
    # The root has no derivative at zero, where parameters without any gradient so far are.
    positive = second > 0
    root = jnp.where(positive, jnp.sqrt(jnp.where(positive, second / correction, 1.0)), 0.0)
    scale = 1 / (root + offset)
    features = jnp.stack([first / correction * scale, gradient * scale])
    return features, Moments(first, second)
