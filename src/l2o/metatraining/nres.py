"""Evolution strategies that use noise again."""

from jaxtyping import Array, Int

from l2o.metatraining.evolution_strategies import EvolutionStrategies


class NRES(EvolutionStrategies):
    """Noise-reuse evolution strategies: one perturbation for a whole trajectory.

    Li, Harrison, Sohl-Dickstein, Smith, Metz 2023, *Variance-reduced gradient estimation via
    noise-reuse in online evolution strategies*: as `PES`, but a perturbation `e ~ N(0, sigma^2)` is
    kept until the inner problem is drawn anew, so that `(L+ - L-) e / (2 sigma^2)` is the estimate
    of each window. The smoothed meta-loss is that of meta-parameters that are moved once. It has no
    bias of truncation either, and the noise of the estimate does not add up over windows.

    **Arguments:** `sigma`, the standard deviation of the perturbations.

    **Raises:** `ValueError` if its square, or one over that, is beyond single precision.

    ```pycon
    >>> l2o.metatraining.NRES(sigma=0.1)
    NRES(sigma=0.1)
    ```
    """

    def draws_anew(self, window: Int[Array, ""]) -> bool:
        """Never, but for a fresh problem."""
        return False
