"""FAMO: fast adaptive multitask optimization."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from l2o.multiobjective.stateful_weighting import StatefulWeighting

_OFFSET = 1e-8


class FAMOState(NamedTuple):
    """Logits of the weights, their optimizer, and the losses of the step before."""

    logits: Float[Array, " m"]
    adam: PyTree
    losses: Float[Array, " m"]
    is_fresh: Bool[Array, ""]


class FAMO(StatefulWeighting):
    """Weights by which the logarithms of all losses fall at the same rate.

    Of the gradients it only needs the weighted sum. The change of the losses is that from one
    step to the next: with minibatches, other than in the paper, it is between two of them.

    Source: Liu et al. 2023, FAMO, algorithm 1.

    **Arguments:** `learning_rate` and `weight_decay` of the Adam that moves the logits; `least`,
    a lower bound of all losses, which they have to exceed.
    """

    learning_rate: float = 0.025
    weight_decay: float = 1e-3
    least: float = 0.0

    def init(self, num_objectives: int) -> FAMOState:
        """Equal weights."""
        zeros = jnp.zeros(num_objectives)
        return FAMOState(zeros, self._adam().init(zeros), zeros, jnp.asarray(True))

    def update(
        self,
        gramian: Float[Array, "m m"],
        state: FAMOState,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], FAMOState]:
        """One step; the key does not matter, nor does the Gramian.

        **Raises:** `ValueError` without losses.
        """
        del gramian, key
        if losses is None:
            raise ValueError("FAMO needs the losses: pass value= to the optimizer's update.")
        excess = losses - self.least + _OFFSET
        fall = jnp.log(state.losses - self.least + _OFFSET) - jnp.log(excess)
        _, pull_back = jax.vjp(jax.nn.softmax, state.logits)
        (slope,) = pull_back(fall)
        slope = slope + self.weight_decay * state.logits
        change, adam = self._adam().update(slope, state.adam)
        moved = optax.apply_updates(state.logits, change)

        def unless_fresh(new: Array, old: Array) -> Array:
            return jnp.where(state.is_fresh, old, new)

        logits = unless_fresh(jnp.asarray(moved), state.logits)
        adam = jax.tree.map(unless_fresh, adam, state.adam)
        shares = jax.nn.softmax(logits) / excess
        return shares / jnp.sum(shares), FAMOState(logits, adam, losses, jnp.asarray(False))

    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
