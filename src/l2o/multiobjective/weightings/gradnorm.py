"""GradNorm: gradients of equal size, save for objectives that lag behind."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from l2o.gradients import Gramian
from l2o.multiobjective.presence import mean_of_present, share_of_present
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_instance, check_number


class GradNormState(NamedTuple):
    """Logits of the weights, their optimizer, and the first losses (before them: NaN)."""

    logits: Float[Array, " m"]
    optimizer: PyTree
    first_losses: Float[Array, " m"]


class GradNorm(StatefulWeighting):
    """Weights by which gradients get norms in proportion to a power of how their losses lag.

    With weights `w = m softmax(s)`, norms `n_i = w_i |g_i|`, and `r_i` the loss over its first
    value, over the mean of these ratios, s descend on `sum_i |n_i - mean(n) r_i^alpha|`, in which
    the second term is held constant. Norms are in units of their mean, so that s moves as much
    whatever the scale of the gradients.

    Source: Chen et al. 2018, GradNorm, algorithm 1; the softmax, which keeps the sum of the weights
    at m, is that of LibMTL. Norms are those of the gradients with respect to all parameters.

    **Arguments:** `optimizer`, of s, from Optax; `alpha`, 0 for equal norms, and the larger the
    more weight for losses that lag behind.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.GradNorm(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0]
    Array([1., 1.], dtype=float32)
    ```
    """

    needs_losses = True
    judges = "positive"

    optimizer: optax.GradientTransformation = eqx.field(static=True, default=optax.adam(0.025))
    alpha: float = 1.5

    def __check_init__(self) -> None:
        check_instance("optimizer", self.optimizer, optax.GradientTransformation)
        check_number("alpha", self.alpha, least=0)

    def init(self, num_objectives: int) -> GradNormState:
        """Weights of 1."""
        zeros = jnp.zeros(num_objectives)
        return GradNormState(zeros, self.optimizer.init(zeros), jnp.full_like(zeros, jnp.nan))

    def step(
        self,
        gramian: Gramian,
        state: GradNormState,
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], GradNormState]:
        """One step; the key does not matter."""
        del key
        is_new = jnp.isnan(state.first_losses)
        first_losses = jnp.where(is_new, losses, state.first_losses)
        ratios = losses / first_losses
        mean_ratio = mean_of_present(ratios, present)
        lags = (ratios / jnp.where(mean_ratio > 0.0, mean_ratio, 1.0)) ** self.alpha
        sizes = gramian.relative.norms
        mean_size = mean_of_present(sizes, present)
        sizes = sizes / jnp.where(mean_size > 0.0, mean_size, 1.0)

        def weights_of(logits: Float[Array, " m"]) -> Float[Array, " m"]:
            return jnp.sum(present) * share_of_present(logits, present)

        def imbalance(logits: Float[Array, " m"]) -> Float[Array, ""]:
            weighted = weights_of(logits) * sizes
            targets = jax.lax.stop_gradient(mean_of_present(weighted, present) * lags)
            return jnp.sum(jnp.where(present, jnp.abs(weighted - targets), 0.0))

        slope = jax.grad(imbalance)(state.logits)
        change, optimizer = self.optimizer.update(slope, state.optimizer)
        moved = jnp.asarray(optax.apply_updates(state.logits, change))
        return weights_of(state.logits), GradNormState(moved, optimizer, first_losses)
