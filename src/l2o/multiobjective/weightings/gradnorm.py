"""GradNorm: gradients of equal size, save for objectives that lag behind."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.multiobjective.stateful_weighting import StatefulWeighting


class GradNormState(NamedTuple):
    """Logits of the weights, their optimizer, and the losses of the first step (before it: NaN)."""

    logits: Float[Array, " m"]
    optimizer: PyTree
    first_losses: Float[Array, " m"]


class GradNorm(StatefulWeighting):
    """Weights by which gradients get norms in proportion to a power of how their losses lag.

    With weights `w = m softmax(s)`, norms `n_i = w_i |g_i|`, and `r_i` the loss over its first
    value, over the mean of these ratios, s descend on `sum_i |n_i - mean(n) r_i^alpha|`, in which
    the second term is held constant.

    Source: Chen et al. 2018, GradNorm, algorithm 1; the softmax, which keeps the sum of the weights
    at m, is that of LibMTL. Norms are those of the gradients with respect to all parameters.

    **Arguments:** `optimizer`, of s, from Optax; `alpha`, 0 for equal norms, and the larger the
    more weight for losses that lag behind.
    """

    optimizer: optax.GradientTransformation = eqx.field(static=True, default=optax.adam(0.025))
    alpha: float = 1.5

    def init(self, num_objectives: int) -> GradNormState:
        """Weights of 1."""
        zeros = jnp.zeros(num_objectives)
        return GradNormState(zeros, self.optimizer.init(zeros), jnp.full_like(zeros, jnp.nan))

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: GradNormState,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], GradNormState]:
        """One step; the key does not matter.

        **Raises:** `ValueError` without losses.
        """
        del key
        if losses is None:
            raise ValueError("GradNorm needs the losses: pass value= to the optimizer's update.")
        is_first = jnp.all(jnp.isnan(state.first_losses))
        first_losses = jnp.where(is_first, losses, state.first_losses)
        ratios = losses / first_losses
        lags = (ratios / jnp.mean(ratios)) ** self.alpha
        norms = jnp.sqrt(jnp.maximum(jnp.diag(gramian), 0.0))

        def weights_of(logits: Float[Array, " m"]) -> Float[Array, " m"]:
            return len(logits) * jax.nn.softmax(logits)

        def imbalance(logits: Float[Array, " m"]) -> Float[Array, ""]:
            weighted = weights_of(logits) * norms
            targets = jax.lax.stop_gradient(jnp.mean(weighted) * lags)
            return jnp.sum(jnp.abs(weighted - targets))

        slope = jax.grad(imbalance)(state.logits)
        change, optimizer = self.optimizer.update(slope, state.optimizer)
        moved = jnp.asarray(optax.apply_updates(state.logits, change))
        return weights_of(state.logits), GradNormState(moved, optimizer, first_losses)
