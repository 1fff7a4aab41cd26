"""Convex quadratic programs over the non-negative orthant, compiled, batched, differentiable."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.multiobjective.programs.definite import made_definite
from l2o.multiobjective.programs.enumeration import MOST_COORDINATES, enumerate_supports
from l2o.support.double_precision import in_double_precision

# Exchanges of whole blocks settle the usual program within ten iterations. Where they go round in
# circles (far more rows than dimensions), the interior-point method takes over.
_MOST_EXCHANGES = 15
_MOST_INTERIOR_STEPS = 50
_TOLERANCE = 1e-12
_ROUNDING = 2.3e-16


Build = Callable[..., tuple[Float[Array, "m m"], Float[Array, "*programs m"]]]
"""Makes the matrix and the linear terms of a program from cosines and other arrays."""


def nonnegative_program(
    matrix: Float[Array, "m m"], linear: Float[Array, " m"]
) -> Float[Array, " m"]:
    """Solves `min x'Mx / 2 + q'x` over `x >= 0`.

    The set of positive coordinates is found among all sets if there are few, otherwise by
    principal pivoting of whole blocks (Judice and Pires 1994; Kim and Park 2011), and where that
    does not settle, by a predictor-corrector interior-point method (Mehrotra 1992). All of it is
    done in double precision, whatever the precision of the arguments, so the solution is as exact
    as the arguments are. Derivatives are those of the optimality condition `min(x, Mx + q) = 0`,
    of any order.

    **Arguments:**

    - `matrix`: M, symmetric and positive semidefinite but for rounding, with a diagonal of about
      1. Enough is added to the diagonal to make it definite: 1e-12, and twice what it lacks.
    - `linear`: q, of about the size of 1.

    **Returns:** x. Not finite if an argument is not.
    """
    return program_of(_as_they_are, matrix, jnp.zeros_like(matrix), linear)


def _as_they_are(matrix: Array, linear: Array) -> tuple[Array, Array]:
    return matrix, linear


@partial(jax.jit, static_argnames="build")
def program_of(
    build: Build, cosines: Float[Array, "n n"], remainder: Float[Array, "n n"], *others: Array
) -> Float[Array, " m"]:
    """Solves a program whose matrix and linear terms are made in double precision.

    **Arguments:**

    - `build`: called with cosines and `others`, gives M and q. It has to be one and the same
      function in all calls, since the program is compiled for it.
    - `cosines`, `remainder`: of a `Gramian`, whose sum is what is known.
    - `others`: what else M and q are made of.

    **Returns:** as `nonnegative_program`.
    """
    return solved_program(solve_program, solve_tangent, build, cosines, remainder, *others)


def solved_program(
    solve: Callable[..., Array],
    solve_tangent: Callable[..., Array],
    build: Build,
    cosines: Float[Array, "n n"],
    remainder: Float[Array, "n n"],
    *others: Array,
) -> Float[Array, "*programs m"]:
    """What `solve` finds in double precision, with the derivatives of the optimality condition."""
    matrix, linear = build(cosines, *others)

    def optimality(x: Float[Array, "*programs m"]) -> Float[Array, "*programs m"]:
        return jnp.minimum(x, x @ matrix.T + linear)

    def double(cosines: Array, remainder: Array, *others: Array) -> Array:
        return solve(*build(cosines + remainder, *others))

    def solve_once(_: object, start: Array) -> Array:
        del start
        return in_double_precision(double)(cosines, remainder, *others)

    return jax.lax.custom_root(optimality, jnp.zeros_like(linear), solve_once, solve_tangent)


def solve_program(matrix: Float[Array, "m m"], linear: Float[Array, " m"]) -> Float[Array, " m"]:
    """Solves a program, in double precision, whose matrix may have been rounded."""
    return solve_definite(made_definite(matrix), linear)


def solve_definite(matrix: Float[Array, "m m"], linear: Float[Array, " m"]) -> Float[Array, " m"]:
    """Solves a program, in double precision, whose matrix is positive definite."""
    if len(matrix) <= MOST_COORDINATES:
        x = enumerate_supports(matrix, linear[None])[0]
    else:
        exchange = exchange_blocks(matrix, linear)
        interior = interior_point(matrix, linear, skip=exchange.settled)
        x = jnp.where(exchange.settled, exchange.x, interior)
    is_finite = jnp.all(jnp.isfinite(matrix)) & jnp.all(jnp.isfinite(linear))
    return jnp.where(is_finite, x, jnp.nan)


def solve_tangent(linear_map: object, y: Float[Array, " m"]) -> Float[Array, " m"]:
    """Solves a small dense linear system, for the derivatives of `jax.lax.custom_root`."""
    assert callable(linear_map)
    return jnp.linalg.solve(jax.jacobian(linear_map)(jnp.zeros_like(y)), y)


class Exchange(NamedTuple):
    """Where an exchange of blocks is."""

    positive: Bool[Array, " m"]
    """The coordinates that are taken to be positive."""
    x: Float[Array, " m"]
    fewest_violations: Int[Array, ""]
    patience: Int[Array, ""]
    settled: Bool[Array, ""]
    """Whether no coordinate violates a sign."""
    iteration: Int[Array, ""]


def exchange_blocks(
    matrix: Float[Array, "m m"],
    linear: Float[Array, " m"],
    skip: Bool[Array, ""] | bool = False,
    positive: Bool[Array, " m"] | None = None,
) -> Exchange:
    """Exchanges all coordinates that violate a sign, until none does.

    **Arguments:** `matrix`, positive definite, and `linear`, of the program; `skip`, whether there
    is nothing to do, which saves work where programs are mapped; `positive`, the coordinates to
    begin with, by default those where zero is no solution.
    """
    m = linear.size
    size = jnp.max(jnp.abs(linear))

    def is_going_on(state: Exchange) -> Bool[Array, ""]:
        return ~state.settled & (state.iteration < _MOST_EXCHANGES) & (state.patience > 0)

    def exchange(state: Exchange) -> Exchange:
        positive = state.positive
        block = jnp.where(positive[:, None] & positive, matrix, jnp.eye(m))
        x = _solve_positive_definite(block, jnp.where(positive, -linear, 0.0))
        slope = matrix @ x + linear
        tolerance = _TOLERANCE * size + _ROUNDING * m * jnp.max(jnp.abs(x))
        violated = jnp.where(positive, x < 0.0, slope < -tolerance)
        count = jnp.sum(violated, dtype=jnp.int32)
        fewer = count < state.fewest_violations
        return Exchange(
            positive ^ violated,
            x,
            jnp.minimum(count, state.fewest_violations),
            jnp.where(fewer, 4, state.patience - 1).astype(jnp.int32),
            count == 0,
            state.iteration + 1,
        )

    start = Exchange(
        linear < 0.0 if positive is None else positive,
        jnp.zeros_like(linear),
        jnp.int32(m + 1),
        jnp.int32(4),
        jnp.asarray(skip),
        jnp.int32(0),
    )
    return jax.lax.while_loop(is_going_on, exchange, start)


class _Interior(NamedTuple):
    x: Float[Array, " m"]
    slope: Float[Array, " m"]
    settled: Bool[Array, ""]
    iteration: Int[Array, ""]


def interior_point(
    matrix: Float[Array, "m m"], linear: Float[Array, " m"], skip: Bool[Array, ""]
) -> Float[Array, " m"]:
    """Solves the program along the central path.

    **Arguments:** as for `exchange_blocks`.
    """

    def is_going_on(state: _Interior) -> Bool[Array, ""]:
        return ~state.settled & (state.iteration < _MOST_INTERIOR_STEPS)

    def step(state: _Interior) -> _Interior:
        x, slope = state.x, state.slope
        residual = matrix @ x + linear - slope
        gap = jnp.mean(x * slope)
        factor = jnp.linalg.cholesky(matrix + jnp.diag(slope / x), symmetrize_input=False)

        def direction(complementarity: Float[Array, " m"]) -> tuple[Array, Array]:
            dx = jax.scipy.linalg.cho_solve((factor, True), complementarity / x - residual)
            return dx, (complementarity - slope * dx) / x

        def longest(dx: Float[Array, " m"], dslope: Float[Array, " m"]) -> Float[Array, ""]:
            ratios = jnp.concatenate(
                [
                    jnp.where(dx < 0, -x / dx, jnp.inf),
                    jnp.where(dslope < 0, -slope / dslope, jnp.inf),
                ]
            )
            return jnp.minimum(1.0, jnp.min(ratios))

        dx, dslope = direction(-x * slope)
        length = longest(dx, dslope)
        gap_ahead = jnp.mean((x + length * dx) * (slope + length * dslope))
        centring = (gap_ahead / gap) ** 3
        dx, dslope = direction(centring * gap - x * slope - dx * dslope)
        length = jnp.minimum(1.0, 0.995 * longest(dx, dslope))
        x, slope = x + length * dx, slope + length * dslope
        scale = jnp.maximum(1.0, jnp.max(jnp.abs(x))) * jnp.max(jnp.abs(linear))
        residual = jnp.max(jnp.abs(matrix @ x + linear - slope))
        settled = (jnp.max(x * slope) <= _TOLERANCE * scale) & (residual <= _TOLERANCE * scale)
        return _Interior(x, slope, settled, state.iteration + 1)

    ones = jnp.ones_like(linear)
    start = _Interior(ones, ones * jnp.max(jnp.abs(linear)), skip, jnp.int32(0))
    return jax.lax.while_loop(is_going_on, step, start).x


def _solve_positive_definite(
    matrix: Float[Array, "m m"], right: Float[Array, " m"]
) -> Float[Array, " m"]:
    factor = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    return jax.scipy.linalg.cho_solve((factor, True), right)
