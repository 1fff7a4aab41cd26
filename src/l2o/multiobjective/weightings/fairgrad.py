"""FairGrad: fair allocation of the objectives' decrease."""

from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.multiobjective.programs.fair_program import fair_weights
from l2o.multiobjective.weightings.linear import mean
from l2o.support.checks import check_number


def fairgrad(gramian: AnyGramian, *, alpha: float = 1.0) -> Float[Array, " m"]:
    """The alpha-fair direction: weights `w > 0` with `Gw = w^(-1/alpha)`.

    Every objective decreases at the rate `w_i^(-1/alpha) > 0`. Alpha of 1 is proportional
    fairness (Nash-MTL), and as it grows the smallest decrease counts alone (MGDA).

    Source: Ban and Ji 2024, Fair Resource Allocation in Multi-Task Learning, equation 4.

    **Arguments:** `gramian`, of inner products of m gradients; `alpha`, at least 0, where 0 is
    the mean, as in the paper's public code.

    **Returns:** the weights, or those of MGDA where there are none: `fairness_gap` tells.

    **Raises:** `ValueError` if the Gramian is not a square matrix or alpha is negative or
    not finite.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.diag(jnp.array([1.0, 2.0])))
    >>> np.round(l2o.multiobjective.fairgrad(gramian), 3)  # w = 1 / |g|
    Array([1. , 0.5], dtype=float32)
    ```
    """
    check_number("alpha", alpha, least=0)
    return mean(gramian) if alpha == 0 else fair_weights(as_gramian(gramian), float(alpha))
