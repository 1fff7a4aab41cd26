"""DualProj: the projection of the mean gradient onto the dual cone."""

from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.multiobjective.programs.dual_cone import dual_cone_weights
from l2o.multiobjective.weightings.linear import preference_or_mean


def dualproj(gramian: AnyGramian, *, preference: ArrayLike | None = None) -> Float[Array, " m"]:
    """Projects the mean gradient onto the dual cone of all gradients.

    It conflicts with no gradient; where it changes the mean it lies on the cone's boundary, where
    the product with some gradient is zero.

    Source: Lopez-Paz and Ranzato 2017, Gradient Episodic Memory, section 3.

    **Arguments:** `gramian`, of inner products of m gradients; `preference`, m weights of the
    combination to project, by default `1 / m`.

    **Raises:** `ValueError` if the Gramian is not a square matrix or there are not m weights.

    ```pycon
    >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> np.round(l2o.multiobjective.dualproj(l2o.multiobjective.gramian(jacobian)), 3)
    Array([0.5, 0.5], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian)
    return dual_cone_weights(gramian, preference_or_mean(gramian, preference))
