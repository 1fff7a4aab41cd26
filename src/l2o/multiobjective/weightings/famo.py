"""FAMO: fast adaptive multitask optimization."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from l2o.gradients import Gramian
from l2o.multiobjective.presence import keep_absent, share_of_present
from l2o.multiobjective.stateful_weighting import StatefulWeighting
from l2o.support.checks import check_number


class FAMOState(NamedTuple):
    """Logits of the weights, their optimizer, and the losses that were last seen."""

    logits: Float[Array, " m"]
    adam: PyTree
    excess: Float[Array, " m"]
    """Of the losses over their bound; before the first ones NaN."""


class FAMO(StatefulWeighting):
    """Weights by which the logarithms of all losses fall at the same rate.

    Of the gradients it only needs the weighted sum. The change of the losses is that from one
    step to the next: with minibatches, other than in the paper, it is between two of them.

    Source: Liu et al. 2023, FAMO, algorithm 1.

    **Arguments:** `learning_rate` and `weight_decay` of the Adam that moves the logits; `least`,
    a lower bound of all losses, which they have to exceed.

    ```pycon
    >>> descent = l2o.multiobjective.aggregate(l2o.multiobjective.FAMO(), num_objectives=2)
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> descent.update(jacobian, descent.init(jnp.zeros(2)), value=jnp.ones(2))[0]
    Array([0.5, 0.5], dtype=float32)
    ```
    """

    needs_losses = True
    needs_gradients = False

    learning_rate: float = 0.025
    weight_decay: float = 1e-3
    least: float = 0.0

    def __check_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("weight_decay", self.weight_decay, least=0)
        check_number("least", self.least)

    def init(self, num_objectives: int) -> FAMOState:
        """Equal weights."""
        zeros = jnp.zeros(num_objectives)
        return FAMOState(zeros, self._adam().init(zeros), jnp.full_like(zeros, jnp.nan))

    def step(
        self,
        gramian: Gramian,
        state: FAMOState,
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], FAMOState]:
        """One step; the key does not matter, nor does the Gramian."""
        del gramian, key
        # Below their bound losses cannot be judged either.
        excess = losses - self.least
        above = present & (excess > 0.0)
        excess = jnp.where(above, excess, 1.0)
        moves = above & jnp.isfinite(state.excess)
        fall = jnp.where(moves, jnp.log(state.excess) - jnp.log(excess), 0.0)
        _, pull_back = jax.vjp(lambda logits: share_of_present(logits, moves), state.logits)
        (slope,) = pull_back(fall)
        slope = slope + self.weight_decay * state.logits
        change, adam = self._adam().update(slope, state.adam)
        moved = jnp.asarray(optax.apply_updates(state.logits, change))
        logits, adam = keep_absent((moved, adam), (state.logits, state.adam), moves)
        shares = share_of_present(logits, above) / excess
        total = jnp.sum(shares)
        kept = FAMOState(logits, adam, jnp.where(above, excess, state.excess))
        return shares / jnp.where(total > 0.0, total, 1.0), kept

    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
