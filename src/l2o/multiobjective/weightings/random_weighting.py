"""Random weighting."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray


def random_weighting(gramian: Float[Array, "m m"], *, key: PRNGKeyArray) -> Float[Array, " m"]:
    """Softmax of normal numbers, drawn anew at every step.

    Source: Lin et al. 2022, Reasonable Effectiveness of Random Weighting, where weights of
    gradients (RGW) and of losses (RLW) are the same thing for shared parameters.

    **Arguments:** `gramian`, of inner products of m gradients, of which only the size matters;
    `key`, randomness of the step.
    """
    return jax.nn.softmax(jax.random.normal(key, gramian.shape[:1], gramian.dtype))
