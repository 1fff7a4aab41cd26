"""Many convex quadratic programs over the non-negative orthant that share their matrix."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.multiobjective.programs.definite import made_definite
from l2o.multiobjective.programs.enumeration import MOST_COORDINATES, enumerate_supports
from l2o.multiobjective.programs.nonnegative_program import (
    Build,
    exchange_blocks,
    interior_point,
    solve_definite,
    solved_program,
)
from l2o.multiobjective.programs.operator_splitting import Approximation, split_operators
from l2o.multiobjective.programs.spectrum import (
    geometric_series,
    largest_eigenvalue,
)

_TOLERANCE = 1e-12
_ROUNDING = 2.3e-16
# Factors of smaller matrices cost less than the steps that would replace them.
_FEWEST_COORDINATES = 8
# Nearly all programs are solved in the first phase; a second is worth it for the last few.
_MOST_PHASES = 2
_FIRST_DESCENT = 32
_MOST_FACES = 4
_LOOSE = 1e-3
# Groups are done when their last program is, and small ones waste little.
_GROUP = 4


@partial(jax.jit, static_argnames="build")
def programs_of(
    build: Build, cosines: Float[Array, "m m"], remainder: Float[Array, "m m"], *others: Array
) -> Float[Array, "programs m"]:
    """Solves `min x'Mx / 2 + q'x` over `x >= 0` for many q at once.

    It finds the same as `program_of` for every q, or, where a singular M leaves many
    solutions, another one. But where that needs a factor of a part of M for every program and
    every guess at the positive coordinates, here projected gradients make the guess (accelerated,
    Beck and Teboulle 2009) and conjugate gradients solve for the coordinates guessed, as in More
    and Toraldo 1991: a step for all programs is a single product with M. What violates a sign is
    exchanged and solved for again. A program counts as solved once all its signs and residuals
    are right to the last digits.

    What is left is ill-conditioned or singular, as of gradients with hardly a direction that
    descends on all, or none. It is approximated by `split_operators`. Of what that does not
    settle, `program_of`'s method, started from the approximation, solves a proximal
    point step (Rockafellar 1976): what has to be added to M to make it definite is the weight of
    the distance to the approximation instead of that to zero, and so hardly moves the solution.

    **Arguments:**

    - `build`: called with cosines and `others`, gives M and q, one a row, of about the size of 1.
    - `cosines`, `remainder`, `others`: as for `program_of`.

    **Returns:** x, one a row. Not finite if an argument is not.
    """
    if len(cosines) < _FEWEST_COORDINATES:
        return solved_program(_solve_few, _solve_tangent, build, cosines, remainder, *others)
    return solved_program(_solve, _solve_tangent, build, cosines, remainder, *others)


def _solve_few(
    matrix: Float[Array, "m m"], linear: Float[Array, "programs m"]
) -> Float[Array, "programs m"]:
    definite = made_definite(matrix)
    if len(matrix) > MOST_COORDINATES:
        return jax.vmap(solve_definite, in_axes=(None, 0))(definite, linear)
    x = enumerate_supports(definite, linear)
    is_finite = jnp.all(jnp.isfinite(matrix)) & jnp.all(jnp.isfinite(linear), axis=1)
    return jnp.where(is_finite[:, None], x, jnp.nan)


def _solve_tangent(linear_map: object, y: Float[Array, "programs m"]) -> Float[Array, "programs m"]:
    assert callable(linear_map)
    # No program depends on another one: a column of all their matrices from a single product.
    units = jnp.broadcast_to(jnp.eye(y.shape[1], dtype=y.dtype)[:, None], (y.shape[1], *y.shape))
    matrices = jnp.moveaxis(jnp.asarray(jax.vmap(linear_map)(units)), 0, -1)
    return jnp.linalg.solve(matrices, y[..., None])[..., 0]


def _solve(
    matrix: Float[Array, "m m"], linear: Float[Array, "programs m"]
) -> Float[Array, "programs m"]:
    symmetric = (matrix + matrix.T) / 2
    phase = _descend_and_solve_faces(symmetric, linear)

    def solve_rest() -> Float[Array, "programs m"]:
        definite = made_definite(matrix)
        error = definite[0, 0] - symmetric[0, 0]
        known = Approximation(phase.x, phase.settled)
        near = split_operators(symmetric, linear, error, known)
        # The proximal point step.
        rest = _solve_in_groups(definite, linear - error * near.x, near)
        is_finite = jnp.all(jnp.isfinite(matrix)) & jnp.all(jnp.isfinite(linear), axis=1)
        return jnp.where(is_finite[:, None], rest, jnp.nan)

    return jax.lax.cond(jnp.all(phase.settled), lambda: phase.x, solve_rest)


def _solve_in_groups(
    matrix: Float[Array, "m m"], linear: Float[Array, "programs m"], near: Approximation
) -> Float[Array, "programs m"]:
    """Solves exactly what is not settled, a few programs at a time."""

    def pivot(rows: Int[Array, " group"], near: Approximation) -> Approximation:
        exchange = jax.vmap(exchange_blocks, in_axes=(None, 0, 0, 0))
        end = exchange(matrix, linear[rows], near.settled[rows], near.x[rows] > 0.0)
        return Approximation(end.x, end.settled)

    def follow_path(rows: Int[Array, " group"], near: Approximation) -> Approximation:
        interior = jax.vmap(interior_point, in_axes=(None, 0, 0))
        x = interior(matrix, linear[rows], near.settled[rows])
        return Approximation(x, jnp.ones(len(rows), bool))

    return _in_groups(follow_path, _in_groups(pivot, near)).x


def _in_groups(
    solve: Callable[[Int[Array, " group"], Approximation], Approximation],
    near: Approximation,
) -> Approximation:
    size = min(_GROUP, len(near.settled))
    # Those to be solved come first.
    order = jnp.argsort(near.settled)
    count = jnp.sum(~near.settled)

    def is_going_on(state: tuple[Array, Approximation]) -> Bool[Array, ""]:
        return state[0] < count

    def solve_group(state: tuple[Array, Approximation]) -> tuple[Array, Approximation]:
        first, near = state
        rows = jax.lax.dynamic_slice_in_dim(order, first, size)
        settled = near.settled[rows]
        new = solve(rows, near)
        x = near.x.at[rows].set(jnp.where(settled[:, None], near.x[rows], new.x))
        return first + size, Approximation(x, near.settled.at[rows].set(settled | new.settled))

    return jax.lax.while_loop(is_going_on, solve_group, (jnp.int32(0), near))[1]


class _Phase(NamedTuple):
    descended: Float[Array, "programs m"]
    x: Float[Array, "programs m"]
    settled: Bool[Array, " programs"]
    length: Int[Array, ""]
    iteration: Int[Array, ""]


class _Face(NamedTuple):
    positive: Bool[Array, "programs m"]
    x: Float[Array, "programs m"]
    settled: Bool[Array, " programs"]
    is_loose: Bool[Array, ""]
    is_promising: Bool[Array, ""]
    iteration: Int[Array, ""]


def _descend_and_solve_faces(
    matrix: Float[Array, "m m"], linear: Float[Array, "programs m"]
) -> _Phase:
    m = len(matrix)
    size = jnp.max(jnp.abs(linear), axis=1)
    steepest = largest_eigenvalue(matrix)

    def tolerance(x: Float[Array, "programs m"]) -> Float[Array, " programs"]:
        return _TOLERANCE * size + _ROUNDING * m * jnp.max(jnp.abs(x), axis=1)

    # Neither a guess nor a preconditioner needs double precision; single costs half.
    contraction = (jnp.eye(m) - matrix / steepest).astype(jnp.float32)
    shift = (linear / steepest).astype(jnp.float32)
    inverse = geometric_series(contraction).astype(matrix.dtype)

    def descend(
        start: Float[Array, "programs m"], length: Int[Array, ""]
    ) -> Float[Array, "programs m"]:
        def steps(k: Int[Array, ""], state: tuple[Array, Array]) -> tuple[Array, Array]:
            x, ahead = state
            for i in range(4):
                step = (4 * k + i).astype(jnp.float32)
                new = jnp.maximum(ahead @ contraction - shift, 0.0)
                x, ahead = new, new + step / (step + 3) * (new - x)
            return x, ahead

        single = start.astype(jnp.float32)
        return jax.lax.fori_loop(0, length // 4, steps, (single, single))[0].astype(start.dtype)

    def is_unsettled(state: _Face) -> Bool[Array, ""]:
        is_left = ~jnp.all(state.settled) & (state.iteration < _MOST_FACES)
        return is_left & state.is_promising

    def solve_face(face: _Face) -> _Face:
        positive, settled = face.positive, face.settled
        wanted = jnp.where(face.is_loose, _LOOSE * size, 0.3 * tolerance(face.x))
        start = jnp.where(positive | settled[:, None], face.x, 0.0)
        x = _conjugate_gradients(
            matrix, inverse, linear, positive & ~settled[:, None], start, wanted
        )
        slope = x @ matrix + linear
        allowed = tolerance(x)[:, None]
        violated = jnp.where(positive, x < 0.0, slope < -allowed) & ~settled[:, None]
        solved = jnp.all(jnp.where(positive, jnp.abs(slope), 0.0) <= allowed, axis=1)
        newly = solved & ~jnp.any(violated, axis=1) & ~settled
        # Neither far too many signs are wrong, nor is just the same to be solved again.
        changes = face.is_loose | jnp.any(violated) | jnp.any(newly)
        return _Face(
            positive ^ violated,
            x,
            settled | newly,
            face.is_loose & jnp.any(violated) & (face.iteration < 2),
            changes & (8 * jnp.sum(violated) <= violated.size),
            face.iteration + 1,
        )

    def is_going_on(phase: _Phase) -> Bool[Array, ""]:
        is_promising = (phase.iteration == 0) | (4 * jnp.sum(phase.settled) > 3 * len(linear))
        return is_promising & ~jnp.all(phase.settled) & (phase.iteration < _MOST_PHASES)

    def run_phase(phase: _Phase) -> _Phase:
        descended = descend(phase.descended, phase.length)
        x = jnp.where(phase.settled[:, None], phase.x, descended)
        start = _Face(x > 0.0, x, phase.settled, jnp.bool_(True), jnp.bool_(True), jnp.int32(0))
        face = jax.lax.while_loop(is_unsettled, solve_face, start)
        return _Phase(descended, face.x, face.settled, 3 * phase.length, phase.iteration + 1)

    start = _Phase(
        jnp.zeros_like(linear),
        jnp.zeros_like(linear),
        jnp.zeros(len(linear), bool),
        jnp.int32(_FIRST_DESCENT),
        jnp.int32(0),
    )
    return jax.lax.while_loop(is_going_on, run_phase, start)


def _conjugate_gradients(
    matrix: Float[Array, "m m"],
    inverse: Float[Array, "m m"],
    linear: Float[Array, "programs m"],
    free: Bool[Array, "programs m"],
    start: Float[Array, "programs m"],
    wanted: Float[Array, " programs"],
) -> Float[Array, "programs m"]:
    """Solves for the coordinates that are free, until residuals are as small as wanted."""
    most = len(matrix)
    tiny = jnp.finfo(matrix.dtype).tiny

    def is_going_on(state: tuple[Array, ...]) -> Bool[Array, ""]:
        _, residual, _, _, iteration = state
        return jnp.any(jnp.sum(residual**2, axis=1) > wanted**2) & (iteration < most)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        x, residual, direction, old, iteration = state
        product = jnp.where(free, direction @ matrix, 0.0)
        length = old / jnp.maximum(jnp.sum(direction * product, axis=1), tiny)
        x = x + length[:, None] * direction
        residual = residual - length[:, None] * product
        better = jnp.where(free, residual @ inverse, 0.0)
        new = jnp.sum(residual * better, axis=1)
        direction = better + (new / jnp.maximum(old, tiny))[:, None] * direction
        return x, residual, direction, new, iteration + 1

    residual = jnp.where(free, -(start @ matrix + linear), 0.0)
    better = jnp.where(free, residual @ inverse, 0.0)
    state = (start, residual, better, jnp.sum(residual * better, axis=1), jnp.int32(0))
    return jax.lax.while_loop(is_going_on, step, state)[0]
