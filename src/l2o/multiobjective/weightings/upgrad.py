"""UPGrad: the mean of the gradients' projections onto the dual cone."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.multiobjective.programs.dual_cone import dual_cone_weights
from l2o.multiobjective.weightings.linear import preference_or_mean


def upgrad(gramian: AnyGramian, *, preference: ArrayLike | None = None) -> Float[Array, " m"]:
    """Projects every gradient onto the dual cone of all, and averages the projections.

    It conflicts with no gradient and is linear in the scale of each.

    Source: Quinton and Rey 2024, Jacobian Descent for Multi-Objective Optimization.

    **Arguments:** `gramian`, of inner products of m gradients; `preference`, the m weights of the
    projections, by default `1 / m`.

    **Raises:** `ValueError` if the Gramian is not a square matrix or there are not m weights.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.array([[1.0, 0.0], [0.0, 2.0]]))
    >>> np.round(l2o.multiobjective.upgrad(gramian), 3)
    Array([0.5, 0.5], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian)
    rows = jnp.diag(preference_or_mean(gramian, preference))
    return jnp.sum(dual_cone_weights(gramian, rows), axis=0)
