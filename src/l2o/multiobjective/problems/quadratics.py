"""Convex quadratics, with which most of multi-objective optimization begins."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike

from l2o.multiobjective.problems.problem import Problem, simplex_points


class Quadratics(Problem):
    """`f_i(x) = (x - c_i)' A_i (x - c_i) / 2 + b_i`.

    Critical are the points `x(w) = (sum w_i A_i)^-1 sum w_i A_i c_i` for w on the simplex; where
    all A_i are positive definite they are also optimal.

    **Arguments:** `matrices`, A_i, symmetric and positive semidefinite with a sum that is
    definite; `centres`, c_i; `spread`, the standard deviation of the starts; `least`, b_i, the
    losses at the centres, one number or m.

    ```pycon
    >>> matrices, centres = jnp.ones((2, 1, 1)), jnp.array([[1.0], [0.0]])
    >>> problem = l2o.multiobjective.problems.Quadratics(matrices, centres)
    >>> problem.losses(jnp.zeros(1))
    Array([0.5, 0. ], dtype=float32)
    ```
    """

    matrices: Float[Array, "m n n"]
    centres: Float[Array, "m n"]
    spread: float = 5.0
    least: float | Float[Array, " m"] = 0.0

    def losses(self, params: Float[Array, " n"]) -> Float[Array, " m"]:
        """All quadratics at `params`."""
        offsets = params - self.centres
        return jnp.einsum("mi,mij,mj->m", offsets, self.matrices, offsets) / 2 + self.least

    def sample_start(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """A normal point around the mean of the centres."""
        mean = jnp.mean(self.centres, axis=0)
        return mean + self.spread * jax.random.normal(key, mean.shape, mean.dtype)

    def critical_point(self, weights: Float[Array, " m"]) -> Float[Array, " n"]:
        """The minimum of the weighted sum."""
        matrix = jnp.einsum("m,mij->ij", weights, self.matrices)
        return jnp.linalg.solve(
            matrix, jnp.einsum("m,mij,mj->i", weights, self.matrices, self.centres)
        )

    def critical_set(self, num_points: int = 100) -> Float[Array, "points n"]:
        """`critical_point` for weights spread over the simplex.

        The weights are of losses in units of their curvatures' traces: so that a loss a thousand
        times as large does not have all points but the first near its own minimum.
        """
        curvatures = jnp.trace(self.matrices, axis1=1, axis2=2)
        weights = simplex_points(num_points, len(self.centres)) / curvatures
        return jax.vmap(self.critical_point)(weights)


def jos1(n: int = 2) -> Quadratics:
    """JOS1: `|x|^2 / n` and `|x - 2|^2 / n`; critical between 0 and (2, ..., 2).

    ```pycon
    >>> l2o.multiobjective.problems.jos1(n=3).losses(jnp.zeros(3))
    Array([0., 4.], dtype=float32)
    ```
    """
    return _spheres([[0.0] * n, [2.0] * n], 2 / n)


def sch1() -> Quadratics:
    """SCH1: `x^2` and `(x - 2)^2`; critical between 0 and 2.

    ```pycon
    >>> l2o.multiobjective.problems.sch1().losses(jnp.array([2.0]))
    Array([4., 0.], dtype=float32)
    ```
    """
    return _spheres([[0.0], [2.0]], 2.0)


def bk1() -> Quadratics:
    """BK1: `|x|^2` and `|x - 5|^2`; critical between (0, 0) and (5, 5).

    ```pycon
    >>> l2o.multiobjective.problems.bk1().losses(jnp.zeros(2))
    Array([ 0., 50.], dtype=float32)
    ```
    """
    return _spheres([[0.0, 0.0], [5.0, 5.0]], 2.0)


def zlt1(m: int = 3, n: int = 5) -> Quadratics:
    """ZLT1: `|x - e_i|^2` for m unit vectors, m at most n; critical is their convex hull.

    **Raises:** `ValueError` if m is larger than n.

    ```pycon
    >>> l2o.multiobjective.problems.zlt1(m=2, n=3).losses(jnp.array([1.0, 0.0, 0.0]))
    Array([0., 2.], dtype=float32)
    ```
    """
    if m > n:
        raise ValueError(f"ZLT1 has no more objectives than coordinates, got {m} and {n}.")
    return _spheres(jnp.eye(n)[:m], 2.0)


def mhhm2() -> Quadratics:
    """MHHM2: squared distances to the corners of a triangle, which is critical.

    ```pycon
    >>> l2o.multiobjective.problems.mhhm2().losses(jnp.zeros(2)).shape
    (3,)
    ```
    """
    return _spheres([[0.8, 0.6], [0.85, 0.7], [0.9, 0.6]], 2.0)


def lov1() -> Quadratics:
    """Lov1: `1.05 x^2 + 0.98 y^2` and `0.99 (x - 3)^2 + 1.03 (y - 2.5)^2`.

    ```pycon
    >>> np.round(l2o.multiobjective.problems.lov1().losses(jnp.array([1.0, 0.0]))[0], 3)
    Array(1.0500001, dtype=float32)
    ```
    """
    matrices = jnp.array([[[2.1, 0.0], [0.0, 1.96]], [[1.98, 0.0], [0.0, 2.06]]])
    return Quadratics(matrices, jnp.array([[0.0, 0.0], [3.0, 2.5]]))


def sp1() -> Quadratics:
    """SP1: `(x - 1)^2 + (x - y)^2` and `(y - 3)^2 + (x - y)^2`.

    ```pycon
    >>> l2o.multiobjective.problems.sp1().losses(jnp.array([1.0, 1.0]))
    Array([0., 4.], dtype=float32)
    ```
    """
    matrices = jnp.array([[[4.0, -2.0], [-2.0, 2.0]], [[2.0, -2.0], [-2.0, 4.0]]])
    return Quadratics(matrices, jnp.array([[1.0, 1.0], [3.0, 3.0]]))


def mop7() -> Quadratics:
    """MOP7, one of Viennet's problems: three quadratics of two parameters.

    The losses are `(x - 2)^2 / 2 + (y + 1)^2 / 13 + 3`,
    `(x + y - 3)^2 / 36 + (y - x + 2)^2 / 8 - 17` and
    `(x + 2y - 1)^2 / 175 + (2y - x)^2 / 17 - 13`.

    ```pycon
    >>> l2o.multiobjective.problems.mop7().losses(jnp.zeros(2)).shape
    (3,)
    ```
    """
    directions = jnp.array(
        [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [-1.0, 1.0]], [[1.0, 2.0], [-1.0, 2.0]]]
    )
    divisors = jnp.array([[2.0, 13.0], [36.0, 8.0], [175.0, 17.0]])
    matrices = jnp.einsum("mki,mk,mkj->mij", directions, 2 / divisors, directions)
    centres = jnp.array([[2.0, -1.0], [2.5, 0.5], [0.5, 0.25]])
    return Quadratics(matrices, centres, least=jnp.array([3.0, -17.0, -13.0]))


def random_quadratics(
    key: PRNGKeyArray, m: int, n: int, *, condition: ScalarLike = 10.0, scales: ArrayLike = 1.0
) -> Quadratics:
    """Quadratics with random axes and centres.

    **Arguments:** `key`; `m` objectives of `n` parameters; `condition`, largest over smallest
    eigenvalue of every A_i; `scales`, the largest eigenvalue, one number or m.

    ```pycon
    >>> problem = l2o.multiobjective.problems.random_quadratics(jax.random.key(0), m=3, n=2)
    >>> problem.losses(jnp.zeros(2)).shape
    (3,)
    ```
    """
    axes_key, centres_key = jax.random.split(key)
    axes = jax.random.orthogonal(axes_key, n, (m,))
    values = jnp.logspace(-jnp.log10(condition), 0.0, n)
    matrices = jnp.einsum("mij,j,mkj->mik", axes, values, axes)
    scales = jnp.broadcast_to(jnp.asarray(scales, matrices.dtype), (m,))
    return Quadratics(matrices * scales[:, None, None], jax.random.normal(centres_key, (m, n)))


def _spheres(centres: ArrayLike | list[list[float]], curvature: float) -> Quadratics:
    points = jnp.asarray(centres)
    m, n = points.shape
    return Quadratics(jnp.broadcast_to(curvature * jnp.eye(n), (m, n, n)), points)
