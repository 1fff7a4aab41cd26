"""MGDA: the steepest common descent direction."""

from jaxtyping import Array, Float

from l2o.gradients import AnyGramian, as_gramian
from l2o.multiobjective.programs.min_norm import min_norm_weights


def mgda(gramian: AnyGramian) -> Float[Array, " m"]:
    """Weights of the convex combination of least norm, `argmin w'Gw` over the simplex.

    The combination conflicts with no gradient: `<g_i, J'w> >= |J'w|^2` for all i. Where a gradient
    is zero, so is the combination: no direction descends on that objective.

    Source: Desideri 2012, Multiple-gradient descent algorithm; Fliege and Svaiter 2000. It is
    solved exactly, not by Frank-Wolfe steps as in Sener and Koltun 2018.

    **Arguments:** `gramian`, of inner products of m gradients.

    **Returns:** weights, non-negative and summing to 1.

    **Raises:** `ValueError` if the Gramian is not a square matrix.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.array([[1.0, 0.0], [0.0, 2.0]]))
    >>> np.round(l2o.multiobjective.mgda(gramian), 3)
    Array([0.8, 0.2], dtype=float32)
    ```
    """
    return min_norm_weights(gramian)


def mgda_of_present(gramian: AnyGramian) -> Float[Array, " m"]:
    """The same for the gradients that are not zero, as if there were no others.

    Where a task has no labels in a minibatch, MGDA stands still, since no step makes that loss
    smaller; this descends on all the others.

    **Arguments:** `gramian`, of inner products of m gradients.

    **Returns:** weights, non-negative and summing to 1; zero for gradients that are zero, and all
    zero if all are.

    **Raises:** `ValueError` if the Gramian is not a square matrix.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.array([[1.0, 0.0], [0.0, 0.0]]))
    >>> l2o.multiobjective.mgda_of_present(gramian)
    Array([1., 0.], dtype=float32)
    ```
    """
    gramian = as_gramian(gramian)
    return min_norm_weights(gramian, gramian.norms != 0.0)
