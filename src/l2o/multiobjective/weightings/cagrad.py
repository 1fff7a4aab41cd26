"""CAGrad: conflict-averse gradient descent."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.gradients import AnyGramian, Gramian, as_gramian
from l2o.multiobjective.programs.definite import made_definite
from l2o.multiobjective.programs.nonnegative_program import solve_definite, solve_tangent
from l2o.support.checks import check_number
from l2o.support.double_precision import in_double_precision

_MOST_STEPS = 40
_SETTLED = 1e-11
_NEARLY = 1e-4


def cagrad(gramian: AnyGramian, *, c: float = 0.5) -> Float[Array, " m"]:
    """The best for the worst objective, among directions not far from the mean gradient.

    It maximises `min_i <g_i, d>` over `|d - g_0| <= c |g_0|`, with `g_0` the mean gradient. With
    `c >= 1` it conflicts with no gradient; `c = 0` is the mean. Of several best directions it
    takes the one nearest to the mean. A gradient that is zero, which no direction can change, is
    left out of the minimum.

    Source: Liu et al. 2021, Conflict-Averse Gradient Descent, section 3.1, without the rescaling
    that its public code adds. The solution is ours: directions with `<g_i, d> >= t` for all i are
    a polyhedron, whose distance to `g_0` is a program over the non-negative orthant and convex in
    t; the largest t within reach is the root of one equation, found by Newton steps.

    **Arguments:** `gramian`, of m gradients; `c`, at least 0.

    **Returns:** the weights.

    **Raises:** `ValueError` if the Gramian is not a square matrix or c is negative or not finite.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.eye(2))
    >>> np.round(l2o.multiobjective.cagrad(gramian, c=0.5), 3)
    Array([0.75000006, 0.75000006], dtype=float32)
    ```
    """
    check_number("c", c, least=0)
    return _weights(as_gramian(gramian), float(c))


@partial(jax.jit, static_argnames="c")
def _weights(gramian: Gramian, c: float) -> Float[Array, " m"]:
    m = len(gramian)
    sizes = gramian.relative.norms
    is_zero = sizes == 0.0
    divisors = jnp.where(is_zero, 1.0, sizes)
    smallest = jnp.min(jnp.where(is_zero, 1.0, sizes))
    inverses = jnp.where(is_zero, 0.0, smallest / divisors)
    cosines = gramian.cosines

    def optimality(solution: Float[Array, " solution"]) -> Float[Array, " solution"]:
        u, least = solution[:-1], solution[-1]
        slack = cosines @ (u + sizes / m) - least * inverses
        distance, radius = _norm(cosines, u), c * _norm(cosines, sizes / m)
        reaches = distance >= radius * (1 - _NEARLY)
        return jnp.append(jnp.minimum(u, slack), jnp.where(reaches, distance - radius, least))

    def solve(_: object, start: Float[Array, " solution"]) -> Float[Array, " solution"]:
        del start

        def double(cosines: Array, remainder: Array, sizes: Array, inverses: Array) -> Array:
            matrix = cosines + remainder
            return _farthest(matrix, sizes / m, inverses, c, 10 * gramian.rounding)

        return in_double_precision(double)(cosines, gramian.remainder, sizes, inverses)

    start = jnp.zeros(m + 1, gramian.dtype)
    solution = jax.lax.custom_root(optimality, start, solve, solve_tangent)
    return 1 / m + jnp.where(is_zero, 0.0, solution[:-1] / divisors)


class _Reach(NamedTuple):
    u: Float[Array, " m"]
    least: Float[Array, ""]
    distance: Float[Array, ""]
    iteration: Int[Array, ""]


def _farthest(
    cosines: Float[Array, "m m"],
    mean: Float[Array, " m"],
    inverses: Float[Array, " m"],
    c: float,
    rounding: float,
) -> Float[Array, " solution"]:
    """The largest t for which `{d: <g_i, d> >= t}` is within reach, and the way there.

    In units in which all gradients have norm 1: with `mean` the coefficients of g_0, and u those
    of `d - g_0`, the nearest point has `u >= 0` and `Cu + C mean >= t p` with complementarity, p
    the inverses. Its distance is convex in t, so Newton steps from an upper bound of t, that by
    the convex combination of least norm, come down to the root and never pass it.
    """
    definite = made_definite(cosines)
    products = definite @ mean
    radius = c * _norm(definite, mean)

    def is_going_on(state: _Reach) -> Bool[Array, ""]:
        is_outside = state.distance > radius * (1 + _SETTLED)
        return is_outside & (state.iteration < _MOST_STEPS)

    def step(state: _Reach) -> _Reach:
        # At first the combination of least norm, by the same solver: it is compiled only once.
        is_first = state.iteration == 0
        shared = jnp.where(is_first, inverses[:, None] * inverses, 0.0)
        linear = jnp.where(is_first, -inverses, products - state.least * inverses)
        size = jnp.max(jnp.abs(linear))
        size = jnp.where(size > 0.0, size, 1.0)
        u = size * solve_definite(definite + shared, linear / size)
        distance, slope = _norm(definite, u), jnp.maximum(inverses @ u, tiny)
        bound = (products @ u + radius * distance) / slope
        # No t > 0 is possible where a combination vanishes as far as can be told.
        vanishes = u @ cosines @ u <= rounding * jnp.sum(u) ** 2
        bound = jnp.where(vanishes, jnp.minimum(bound, 0.0), bound)
        lower = state.least - (distance - radius) * distance / slope
        is_outside = distance > radius * (1 + _SETTLED)
        return _Reach(
            u,
            jnp.where(is_first, bound, jnp.where(is_outside, lower, state.least)),
            jnp.where(is_first, jnp.inf, distance),
            state.iteration + 1,
        )

    tiny = jnp.finfo(cosines.dtype).tiny
    start = _Reach(jnp.zeros_like(mean), jnp.zeros(()), jnp.asarray(jnp.inf), jnp.int32(0))
    end = jax.lax.while_loop(is_going_on, step, start)
    return jnp.append(end.u, end.least)


def _norm(matrix: Float[Array, "m m"], vector: Float[Array, " m"]) -> Float[Array, ""]:
    """`sqrt(v'Mv)`, with a derivative of zero where it is zero."""
    square = vector @ matrix @ vector
    return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)
