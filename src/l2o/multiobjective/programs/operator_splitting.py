"""Approximate solutions of many programs over the non-negative orthant that share a matrix."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from l2o.multiobjective.programs.spectrum import largest_eigenvalue, shifted_inverse

_WEIGHT = 0.08
_RELAXATION = 1.6
_MOST_STEPS = 192
_STEPS_PER_CHECK = 32


class Approximation(NamedTuple):
    """Approximate solutions of many programs."""

    x: Float[Array, "programs m"]
    settled: Bool[Array, " programs"]
    """Whether x is as exact as the program is."""


class _State(NamedTuple):
    w: Float[Array, "programs m"]
    found: Approximation
    iteration: Int[Array, ""]


def split_operators(
    matrix: Float[Array, "m m"],
    linear: Float[Array, "programs m"],
    error: Float[Array, ""],
    known: Approximation,
) -> Approximation:
    """Approximates `argmin x'Mx / 2 + q'x` over `x >= 0` for many q at once.

    Douglas-Rachford splitting (Lions and Mercier 1979; of a quadratic, as in OSQP by Stellato and
    others 2020): the inverse of `M + c 1` is taken once, and a step for all programs is a single
    product with it. Unlike a step along the gradient, it does not get short where M is
    ill-conditioned. Where M is singular and q in its range, the usual case without a direction
    that descends on all gradients, many x are solutions, and a few steps lead to one.

    **Arguments:**

    - `matrix`: M, symmetric, with a diagonal of about 1, and positive semidefinite but for an
      error.
    - `linear`: q, one a row, of about the size of 1.
    - `error`: that of M, as a bound of its eigenvalues.
    - `known`: programs that are settled are left as they are.

    **Returns:** x, settled where it solves the program of a matrix that close to M.
    """
    inverse = shifted_inverse(matrix, largest_eigenvalue(matrix), _WEIGHT)
    reflection, shift = _RELAXATION * _WEIGHT * inverse, _RELAXATION * linear @ inverse

    def step(_: Int[Array, ""], w: Float[Array, "programs m"]) -> Float[Array, "programs m"]:
        return jnp.abs(w) @ reflection - shift + jnp.where(w > 0.0, 1 - _RELAXATION, 1.0) * w

    def is_going_on(state: _State) -> Bool[Array, ""]:
        return ~jnp.all(state.found.settled) & (state.iteration < _MOST_STEPS)

    def steps(state: _State) -> _State:
        w = jax.lax.fori_loop(0, _STEPS_PER_CHECK, step, state.w)
        x, settled = state.found
        x = jnp.where(settled[:, None], x, jnp.maximum(w, 0.0))
        gaps = jnp.max(jnp.abs(jnp.minimum(x, x @ matrix + linear)), axis=1)
        settled = settled | (gaps <= error * jnp.linalg.norm(x, axis=1))
        return _State(w, Approximation(x, settled), state.iteration + _STEPS_PER_CHECK)

    start = _State(jnp.zeros_like(linear), known, jnp.int32(0))
    x, settled = jax.lax.while_loop(is_going_on, steps, start).found
    # The steps may leave the range of numbers where M is far from positive semidefinite.
    return Approximation(jnp.where(jnp.isfinite(x), x, 0.0), settled)
