"""Persistent evolution strategies."""

from jaxtyping import Array, Int

from l2o.metatraining.evolution_strategies import EvolutionStrategies


class PES(EvolutionStrategies):
    """Persistent evolution strategies: the meta-gradient over the whole horizon, window by window.

    Vicol, Metz, Sohl-Dickstein 2021, *Unbiased gradient estimation in unrolled computation graphs
    with persistent evolution strategies*: in every window each inner problem is optimized twice,
    with the meta-parameters moved by `e ~ N(0, sigma^2)` and by `-e`, on the same minibatches. With
    `x` the sum of its perturbations so far, `(L+ - L-) x / (2 sigma^2)` is an estimate, without the
    bias of truncation, of the gradient of the meta-loss that is smoothed by the noise. Nothing is
    differentiated, so memory does not grow with `truncation`, and rough meta-losses are no problem.

    Inner problems begin at different windows of their horizon, so that every meta-step sees all
    parts of it; the first trajectory of each is cut short for this. The window divides the horizon,
    so a trajectory ends where a window does, and no window has losses of two of them. While the
    meta-parameters change between the windows of a trajectory, earlier windows were of earlier
    ones, which the estimate takes no notice of.

    **Arguments:** `sigma`, the standard deviation of the perturbations.

    **Raises:** `ValueError` if its square, or one over that, is beyond single precision.

    ```pycon
    >>> result = l2o.metatrain(
    ...     l2o.optimizers.RNNProp(hidden_size=2, key=jax.random.key(0)),
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(1),
    ...     meta_steps=2,
    ...     num_tasks=2,
    ...     horizon=4,
    ...     truncation=2,
    ...     estimator=l2o.metatraining.PES(sigma=0.1),
    ... )
    >>> "gradient_variance" in result.history[0]
    True
    ```
    """

    def draws_anew(self, window: Int[Array, ""]) -> bool:
        """A perturbation is of one window."""
        return True
