"""Momentum, one or several modes of it."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Momentum(eqx.Module):
    """The sum of modes `m_j = beta_j m_j - alpha_j g`.

    One mode is the heavy ball (Polyak 1964), several are aggregated momentum (Lucas et al. 2019),
    and a mode with a beta of zero is gradient descent.

    **Arguments:** `betas` and `alphas`, of the modes; `corrected`, whether a mode makes up for
    having started at zero, as Adam's first moment does.
    """

    betas: Float[Array, " modes"]
    alphas: Float[Array, " modes"]
    corrected: bool | Bool[Array, ""]

    def init(self, count: int) -> Float[Array, "modes {count}"]:
        """Zeros."""
        return jnp.zeros((self.betas.shape[0], count))

    def __call__(
        self,
        gradient: Float[Array, " coordinates"],
        modes: Float[Array, "modes coordinates"],
        step: Int[Array, ""],
    ) -> tuple[Float[Array, " coordinates"], Float[Array, "modes coordinates"]]:
        """One step.

        **Arguments:** `gradient`; `modes`, m before this step; `step`, counted from 0.

        **Returns:** the sum of the modes, and the modes.
        """
        modes = self.betas[:, None] * modes - self.alphas[:, None] * gradient
        weights = 1 / jnp.where(self.corrected, 1 - self.betas ** (step + 1), 1.0)
        return weights @ modes, modes
