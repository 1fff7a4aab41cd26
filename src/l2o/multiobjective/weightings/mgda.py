"""MGDA: the steepest common descent direction."""

from jaxtyping import Array, Float

from l2o.multiobjective.min_norm import min_norm_weights


def mgda(gramian: Float[Array, "m m"]) -> Float[Array, " m"]:
    """Weights of the convex combination of least norm, `argmin w'Gw` over the simplex.

    The combination conflicts with no gradient: `<g_i, J'w> >= |J'w|^2` for all i.

    Source: Desideri 2012, Multiple-gradient descent algorithm; Fliege and Svaiter 2000. It is
    solved exactly, not by Frank-Wolfe steps as in Sener and Koltun 2018.

    **Arguments:** `gramian`, of inner products of m gradients.

    **Returns:** weights, non-negative and summing to 1.

    **Raises:** `ValueError` if the Gramian is not a square matrix.
    """
    return min_norm_weights(gramian)
