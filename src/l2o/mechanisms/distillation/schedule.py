"""Learning rates that change with the number of the step."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class WarmUp(eqx.Module):
    """A factor that goes from `start` to one: `1 - (1 - start) exp(-k / time_constant)`.

    **Arguments:** `start`; `time_constant`, in steps.
    """

    start: Float[Array, ""]
    time_constant: Float[Array, ""]

    def __call__(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The factor at step k, counted from 0."""
        return 1 - (1 - self.start) * jnp.exp(-step / self.time_constant)


class Decay(eqx.Module):
    """A factor that goes from one to `final`.

    It is `final + (1 - final) exp(-(k / time_constant)^shape)`: exponential for a shape of one;
    larger shapes fall nearly along a line after staying high, smaller ones have a long tail.

    **Arguments:** `final`; `time_constant`, in steps; `shape`.
    """

    final: Float[Array, ""]
    time_constant: Float[Array, ""]
    shape: Float[Array, ""]

    def __call__(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The factor at step k, counted from 0."""
        # A power of zero has no derivative.
        elapsed = jnp.maximum(step, 1) / self.time_constant
        remaining = jnp.where(step > 0, jnp.exp(-(elapsed**self.shape)), 1.0)
        return self.final + (1 - self.final) * remaining
