"""Weights for which every objective gains its fair share."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.gradients import AnyGramian, Gramian, as_gramian
from l2o.multiobjective.programs.definite import made_definite
from l2o.multiobjective.programs.min_norm import min_norm_weights
from l2o.multiobjective.programs.nonnegative_program import solve_tangent
from l2o.multiobjective.programs.turns import in_turn
from l2o.support.double_precision import in_double_precision

_MOST_STEPS = 100
_SETTLED = 1e-9


@partial(jax.jit, static_argnames="alpha")
def fair_weights(gramian: Gramian, alpha: float) -> Float[Array, " m"]:
    """Solves `Gw = w^(-1/alpha)` for `w > 0`, by Newton steps in double precision.

    With `w = r v / sqrt(h)`, `r = diag(G)^(-alpha / (1 + alpha))` and `h = r^2 diag(G)`, it is
    the minimum of a strictly convex function of v whose quadratic part is that of the gradients'
    cosines; for orthogonal gradients `v = sqrt(h)`.

    **Arguments:** `gramian`, of m gradients; `alpha`, larger than 0.

    **Returns:** the weights. Where there are none, or none that the Gramian's precision can
    tell (gradients at, or next to, a Pareto-critical point), those of MGDA: `fairness_gap`
    tells. A gradient that is zero gets the weight 0.
    """
    norms, cosines = gramian.norms, gramian.cosines
    is_zero = norms == 0.0
    # In units of the largest norm: w is homogeneous of this degree in G.
    largest = gramian.largest
    relative = jnp.where(is_zero, 1.0, norms / largest)
    exponent = alpha / (1 + alpha)
    roots = relative ** (1 - 2 * exponent)
    presence = jnp.where(is_zero, 0.0, 1.0).astype(gramian.dtype)

    def optimality(v: Float[Array, " m"]) -> Float[Array, " m"]:
        u = jnp.maximum(v / roots, jnp.finfo(v.dtype).tiny)
        return jnp.where(is_zero, v, cosines @ v - roots * u ** (-1 / alpha))

    def solve(_: object, start: Float[Array, " m"]) -> Float[Array, " m"]:
        del start

        def newton(cosines: Array, remainder: Array, roots: Array, presence: Array) -> Array:
            matrix = cosines + remainder
            v = _newton(made_definite(matrix), roots, presence, alpha)
            is_told = 10 * gramian.rounding * jnp.sum(v) ** 2 <= v @ matrix @ v
            return jnp.where(is_told, v, jnp.nan)

        return in_double_precision(newton)(cosines, gramian.remainder, roots, presence)

    v = jax.lax.custom_root(optimality, jnp.zeros_like(norms), solve, solve_tangent)
    is_solved = jnp.all(jnp.isfinite(v)) & jnp.any(v > 0.0)
    weights = v / relative * largest ** (-2 * exponent)
    otherwise = min_norm_weights(in_turn(gramian, is_solved))
    return jnp.where(is_solved, jnp.where(is_zero, 0.0, weights), otherwise)


def fairness_gap(
    gramian: AnyGramian, weights: Float[Array, " m"], *, alpha: float = 1.0
) -> Float[Array, ""]:
    """How far weights are from a fair share for everybody, whatever the weights' scale.

    **Arguments:** `gramian`, of inner products of m gradients; `weights`, of `nash_mtl` (alpha
    1) or `fairgrad`; `alpha`, of the latter.

    **Returns:** the largest over the smallest of `(Gw)_i w_i^(1/alpha)`, minus 1: zero, but for
    rounding, if the weights are a solution; large or infinite if MGDA had to stand in. Gradients
    that are zero do not count.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.eye(2))
    >>> weights = l2o.multiobjective.fairgrad(gramian)
    >>> print(f"{l2o.multiobjective.fairness_gap(gramian, weights):.3f}")
    0.000
    ```
    """
    gramian = as_gramian(gramian)
    scaled = jnp.maximum(weights, 0.0) / jnp.max(jnp.abs(weights))
    norms = gramian.norms / gramian.largest
    products = norms * (gramian.cosines @ (norms * scaled) + gramian.remainder @ (norms * scaled))
    shares = products * scaled ** (1 / alpha)
    counts = norms > 0.0
    smallest = jnp.min(jnp.where(counts, shares, jnp.inf))
    largest = jnp.max(jnp.where(counts, shares, -jnp.inf))
    ratio = largest / jnp.where(smallest > 0.0, smallest, 1.0) - 1.0
    return jnp.where(smallest > 0.0, ratio, jnp.inf)


class _Newton(NamedTuple):
    v: Float[Array, " m"]
    settled: Bool[Array, ""]
    iteration: Int[Array, ""]


def _newton(
    cosines: Float[Array, "m m"],
    roots: Float[Array, " m"],
    presence: Float[Array, " m"],
    alpha: float,
) -> Float[Array, " m"]:
    """The solution; NaN if it is not found."""
    power = 1 - 1 / alpha
    lengths = 0.5 ** jnp.arange(12.0)

    def value(v: Float[Array, " m"]) -> Float[Array, ""]:
        u = jnp.where(v > 0.0, v / roots, 1.0)
        utility = jnp.log(u) if alpha == 1 else (u**power - 1) / power
        total = v @ cosines @ v / 2 - jnp.sum(presence * roots**2 * utility)
        return jnp.where(jnp.all(v > 0.0), total, jnp.inf)

    def is_going_on(state: _Newton) -> Bool[Array, ""]:
        return ~state.settled & (state.iteration < _MOST_STEPS)

    def step(state: _Newton) -> _Newton:
        v = state.v
        u = v / roots
        gain = presence * roots * u ** (-1 / alpha)
        slope = jnp.where(presence > 0.0, cosines @ v - gain, 0.0)
        curvature = jnp.where(presence > 0.0, gain / (alpha * v), 1.0)
        # In proportion to v the matrix is as well-conditioned as can be.
        matrix = cosines * v[:, None] * v + jnp.diag(curvature * v**2)
        factor = jnp.linalg.cholesky(matrix, symmetrize_input=False)
        direction = -v * jax.scipy.linalg.cho_solve((factor, True), v * slope)
        settled = jnp.max(jnp.abs(direction) / v) <= _SETTLED
        values = jax.vmap(lambda length: value(v + length * direction))(lengths)
        best = jnp.max(jnp.where(values <= jnp.min(values), lengths, 0.0))
        # The last step is taken in full: values no longer tell it from none.
        length = jnp.where(settled, 1.0, best)
        return _Newton(v + length * direction, settled, state.iteration + 1)

    start = _Newton(roots, jnp.bool_(False), jnp.int32(0))
    end = jax.lax.while_loop(is_going_on, step, start)
    return jnp.where(end.settled, end.v * presence, jnp.nan)
