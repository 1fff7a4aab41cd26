"""Soft clipping of gradients."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Saturation(eqx.Module):
    """The gradient, bounded: `c tanh(g / c)`.

    **Arguments:** `threshold`, c, the largest value that comes out.
    """

    threshold: Float[Array, ""]

    def __call__(self, gradient: Float[Array, " coordinates"]) -> Float[Array, " coordinates"]:
        """Bounds gradients."""
        return self.threshold * jnp.tanh(gradient / self.threshold)
