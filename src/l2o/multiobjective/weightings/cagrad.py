"""CAGrad: conflict-averse gradient descent."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.multiobjective.cosines import cosines_of
from l2o.multiobjective.min_norm import min_norm_weights
from l2o.multiobjective.precision import in_double_precision, in_turn, made_definite

_MOST_STEPS = 60
_SETTLED = 1e-11
_TOLERATED = 1e-3


def cagrad(gramian: Float[Array, "m m"], *, c: float = 0.5) -> Float[Array, " m"]:
    """The best for the worst objective, among directions not far from the mean gradient.

    It maximises `min_i <g_i, d>` over `|d - g_0| <= c |g_0|`, with `g_0` the mean gradient. With
    `c >= 1` it conflicts with no gradient; `c = 0` is the mean.

    Source: Liu et al. 2021, Conflict-Averse Gradient Descent, algorithm 1, without the rescaling
    that its public code adds. The dual problem is solved by an interior-point method.

    **Arguments:** `gramian`, of inner products of m gradients; `c`, at least 0.

    **Returns:** the weights; all zero where a convex combination of the gradients vanishes as far
    as the Gramian's precision can tell. Should the method not come to an end, which happens where
    the mean is best approached by no step at all, those of MGDA: weights that sum to 1, where
    otherwise they sum to more.

    **Raises:** `ValueError` if the Gramian is not a square matrix or c is negative.
    """
    if c < 0:
        raise ValueError(f"c must be at least 0, got {c}.")
    return _weights(gramian, c)


@partial(jax.jit, static_argnames="c")
def _weights(gramian: Float[Array, "m m"], c: float) -> Float[Array, " m"]:
    norms, cosines = cosines_of(gramian)
    m = len(gramian)
    is_zero = norms == 0.0
    largest = jnp.maximum(jnp.max(norms), jnp.finfo(gramian.dtype).tiny)
    sizes = norms / largest
    smallest = jnp.min(norms)
    inverses = jnp.where(is_zero, 1.0, smallest / jnp.where(is_zero, 1.0, norms))
    mean_products = cosines @ sizes / m
    mean_norm = jnp.sqrt(jnp.maximum(sizes @ mean_products / m, jnp.finfo(gramian.dtype).tiny))
    slopes = jnp.where(is_zero, 0.0, mean_products / mean_norm)
    present = jnp.where(is_zero[:, None] | is_zero, 0.0, cosines)

    def optimality(solution: Float[Array, " solution"]) -> Float[Array, " solution"]:
        y, multiplier = solution[:-1], solution[-1]
        products = present @ y
        norm = jnp.sqrt(jnp.maximum(y @ products, jnp.finfo(y.dtype).tiny))
        slack = slopes + c * products / norm - multiplier * inverses
        return jnp.append(jnp.minimum(y, slack), inverses @ y - 1.0)

    def solve(_: object, start: Float[Array, " solution"]) -> Float[Array, " solution"]:
        del start

        def interior_point(cosines: Array, slopes: Array, inverses: Array) -> Array:
            return _interior_point(made_definite(cosines), slopes, inverses, c)

        return in_double_precision(interior_point)(present, slopes, inverses)

    def solve_tangent(
        linear_map: object, y: Float[Array, " solution"]
    ) -> Float[Array, " solution"]:
        assert callable(linear_map)
        return jnp.linalg.solve(jax.jacobian(linear_map)(jnp.zeros_like(y)), y)

    start = jnp.zeros(m + 1, gramian.dtype)
    solution = jax.lax.custom_root(optimality, start, solve, solve_tangent)
    is_solved = jnp.max(jnp.abs(optimality(solution))) < _TOLERATED
    y = jnp.maximum(jnp.where(is_solved, solution[:-1], 1.0), 0.0)
    square = y @ present @ y
    vanishes = square <= 10 * jnp.finfo(gramian.dtype).eps * jnp.sum(y) ** 2
    factor = c * mean_norm / jnp.sqrt(jnp.where(vanishes, 1.0, square))
    weights = 1 / m + factor * jnp.where(is_zero, 0.0, y / jnp.where(is_zero, 1.0, sizes))
    weights = jnp.where(vanishes, 0.0, weights)
    return jnp.where(is_solved, weights, min_norm_weights(in_turn(gramian, is_solved)))


class _Interior(NamedTuple):
    y: Float[Array, " m"]
    slack: Float[Array, " m"]
    multiplier: Float[Array, ""]
    settled: Bool[Array, ""]
    iteration: Int[Array, ""]


def _interior_point(
    cosines: Float[Array, "m m"],
    slopes: Float[Array, " m"],
    inverses: Float[Array, " m"],
    c: float,
) -> Float[Array, " solution"]:
    """Minimises `a'y + c sqrt(y'Cy)` over `y >= 0` with `p'y = 1`; y and the multiplier."""

    def step(state: _Interior) -> _Interior:
        y, slack, multiplier = state.y, state.slack, state.multiplier
        products = cosines @ y
        norm = jnp.sqrt(y @ products)
        unit = products / norm
        hessian = c * (cosines - unit[:, None] * unit) / norm
        dual = slopes + c * unit - multiplier * inverses - slack
        primal = inverses @ y - 1.0
        gap = jnp.mean(y * slack)
        # In proportion to y, as in every interior-point method, it is well-conditioned.
        scaled = hessian * y[:, None] * y + jnp.diag(slack * y)
        factor = jnp.linalg.cholesky(scaled, symmetrize_input=False)

        def solve(right: Float[Array, " m"]) -> Float[Array, " m"]:
            return y * jax.scipy.linalg.cho_solve((factor, True), y * right)

        along = solve(inverses)

        def direction(complementarity: Float[Array, " m"]) -> tuple[Array, Array, Array]:
            free = solve(complementarity / y - dual)
            dmultiplier = -(primal + inverses @ free) / (inverses @ along)
            dy = free + dmultiplier * along
            return dy, (complementarity - slack * dy) / y, dmultiplier

        def longest(dy: Float[Array, " m"], dslack: Float[Array, " m"]) -> Float[Array, ""]:
            along_y = jnp.where(dy < 0, -y / dy, jnp.inf)
            along_slack = jnp.where(dslack < 0, -slack / dslack, jnp.inf)
            return jnp.minimum(1.0, jnp.min(jnp.minimum(along_y, along_slack)))

        dy, dslack, _ = direction(-y * slack)
        length = longest(dy, dslack)
        gap_ahead = jnp.mean((y + length * dy) * (slack + length * dslack))
        centring = jnp.clip((gap_ahead / gap) ** 3, 1e-4, 1.0)
        dy, dslack, dmultiplier = direction(centring * gap - y * slack)
        length = jnp.minimum(1.0, 0.99 * longest(dy, dslack))
        error = jnp.maximum(jnp.max(y * slack), jnp.maximum(jnp.max(jnp.abs(dual)), abs(primal)))
        return _Interior(
            y + length * dy,
            slack + length * dslack,
            multiplier + length * dmultiplier,
            error <= _SETTLED,
            state.iteration + 1,
        )

    def is_going_on(state: _Interior) -> Bool[Array, ""]:
        return ~state.settled & (state.iteration < _MOST_STEPS)

    start = _Interior(
        jnp.ones_like(slopes) / jnp.sum(inverses),
        jnp.ones_like(slopes),
        jnp.zeros(()),
        jnp.bool_(False),
        jnp.int32(0),
    )
    end = jax.lax.while_loop(is_going_on, step, start)
    return jnp.append(end.y, end.multiplier)
