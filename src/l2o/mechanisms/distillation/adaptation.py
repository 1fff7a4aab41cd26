"""Steps that shrink where gradients have been large."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Adaptation(eqx.Module):
    """A factor `1 / (scale + sqrt(v))^power` with a moving average v of squared gradients.

    With a power of one it is that of RMSProp and Adam, whose epsilon is the scale; with a power
    of zero there is none.

    **Arguments:** `decay`, of the average; `scale`, the size of gradients from which on it acts;
    `power`; `after_momentum`, whether the factor is for what comes out of momentum, as in Adam, or
    for what goes in; `corrected`, whether the average makes up for having started at zero, as
    Adam's does.
    """

    decay: Float[Array, ""]
    scale: Float[Array, ""]
    power: Float[Array, ""]
    after_momentum: bool | Bool[Array, ""]
    corrected: bool | Bool[Array, ""]

    def init(self, count: int) -> Float[Array, " {count}"]:
        """Zeros."""
        return jnp.zeros(count)

    def __call__(
        self,
        gradient: Float[Array, " coordinates"],
        average: Float[Array, " coordinates"],
        step: Int[Array, ""],
    ) -> tuple[Float[Array, " coordinates"], Float[Array, " coordinates"]]:
        """One step.

        **Arguments:** `gradient`; `average`, v before this step; `step`, counted from 0.

        **Returns:** the factor of each coordinate, and the new average.
        """
        average = self.decay * average + (1 - self.decay) * gradient**2
        moment = average / jnp.where(self.corrected, 1 - self.decay ** (step + 1), 1.0)
        # The smallest number keeps the root's derivative finite at zero.
        root = jnp.sqrt(moment + jnp.finfo(moment.dtype).tiny)
        return (self.scale + root) ** -self.power, average
