"""Persistent evolution strategies with any sharing period."""

import equinox as eqx
from jaxtyping import Array, Bool, Int

from l2o.metatraining.evolution_strategies import EvolutionStrategies
from l2o.support.checks import check_size


class GPES(EvolutionStrategies):
    """Generalised persistent evolution strategies: a perturbation for some windows at a time.

    Li, Harrison, Sohl-Dickstein, Smith, Metz 2023, *Variance-reduced gradient estimation via
    noise-reuse in online evolution strategies*: as `PES`, but a perturbation is kept for `period`
    windows and is drawn anew then, and added to the sum. A period of 1 is `PES`, and one of the
    whole horizon or more is `NRES`. It has no bias of truncation with any of them.

    **Arguments:** `sigma`, the standard deviation of the perturbations; `period`, for how many
    windows one is kept.

    **Raises:** `ValueError` if the square of `sigma`, or one over it, is beyond single precision,
    and if `period` is less than 1.

    ```pycon
    >>> l2o.metatraining.GPES(sigma=0.1, period=2)
    GPES(sigma=0.1, period=2)
    ```
    """

    period: int = eqx.field(static=True, default=4)

    def __check_init__(self) -> None:
        check_size("period", self.period)

    def draws_anew(self, window: Int[Array, ""]) -> Bool[Array, ""]:
        """After every period, counted from where the trajectory begins."""
        return window % self.period == 0
