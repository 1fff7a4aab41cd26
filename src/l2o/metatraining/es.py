"""Evolution strategies of one window at a time."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from l2o.metatraining.evolution_strategies import EvolutionStrategies, Twins


class ES(EvolutionStrategies):
    """Evolution strategies with antithetic pairs: of whole trajectories, or truncated.

    In every window each inner problem is optimized twice from the same state, with the
    meta-parameters moved by `e ~ N(0, sigma^2)` and by `-e`, on the same minibatches, and
    `(L+ - L-) e / (2 sigma^2)` is the estimate. Of a window that is the whole horizon it has no
    bias. Below the horizon both go on from where the first of them came to, and the start of a
    window is as good as held constant: it has the bias of truncation, as back-propagation has
    (Vicol, Metz, Sohl-Dickstein 2021, *Unbiased gradient estimation in unrolled computation graphs
    with persistent evolution strategies*), but no noise of earlier windows.

    **Arguments:** `sigma`, the standard deviation of the perturbations.

    **Raises:** `ValueError` if its square, or one over that, is beyond single precision.

    ```pycon
    >>> l2o.metatraining.ES(sigma=0.1)
    ES(sigma=0.1)
    ```
    """

    def draws_anew(self, window: Int[Array, ""]) -> bool:
        """A perturbation is of one window."""
        return True

    def after_window(self, twins: Twins) -> Twins:
        """Both where the first is, with nothing remembered of the noise."""
        return eqx.tree_at(
            lambda twins: (twins.carried, twins.noise),
            twins,
            (
                jax.tree.map(lambda leaf: jnp.stack([leaf[0], leaf[0]]), twins.carried),
                jax.tree.map(jnp.zeros_like, twins.noise),
            ),
        )
