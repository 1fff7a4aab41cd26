"""Fixed-point iteration with Anderson acceleration."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_MEMORY = 5
_REGULARIZATION = 1e-14
# An accelerated step that makes the residual larger by more than this is taken back.
_GROWTH = 2.0


class Settled(eqx.Module):
    """Where an iteration ended."""

    state: Float[Array, " state"]
    residual: Float[Array, ""]
    """The sum of squares of F(h) - h there."""
    num_steps: Int[Array, ""]


class _History(eqx.Module):
    step: Int[Array, ""]
    state: Float[Array, " state"]
    image: Float[Array, " state"]
    residual: Float[Array, " state"]
    images: Float[Array, "memory state"]
    """Differences of successive images F(h), the newest first."""
    residuals: Float[Array, "memory state"]


def tolerance_at(state: Float[Array, " state"], tolerance: float) -> Float[Array, ""]:
    """The largest sum of squares that passes for zero: relative where states are large."""
    return tolerance * jnp.maximum(1.0, jnp.sum(state**2))


def iterate_to_rest(
    function: Callable[[Float[Array, " state"]], Float[Array, " state"]],
    start: Float[Array, " state"],
    *,
    tolerance: float,
    plain_steps: int,
    max_steps: int,
) -> Settled:
    """Iterates h <- F(h), at first as it is, then with Anderson acceleration of depth 5.

    The plain steps carry the state into the basin of the attractor that it belongs to. Source:
    Walker and Ni, *Anderson acceleration for fixed-point iterations*, 2011 (type II).

    **Arguments:** `function`, F; `start`; `tolerance`, of the sum of squares of F(h) - h, relative
    to that of h where states are large; `plain_steps`, before acceleration begins; `max_steps`, of
    the accelerated iteration.

    **Returns:** where it ended: at rest, or after all the steps.
    """
    start = jax.lax.fori_loop(0, plain_steps, lambda _, state: function(state), start)
    image = function(start)
    none = jnp.zeros((_MEMORY, *start.shape))
    history = _History(jnp.asarray(0), start, image, image - start, none, none)

    def moving(history: _History) -> Any:
        size = jnp.sum(history.residual**2)
        rest = size <= tolerance_at(history.state, tolerance)
        return ~rest & jnp.isfinite(size) & (history.step < max_steps)

    def accelerate(history: _History) -> _History:
        gram = history.residuals @ history.residuals.T
        ridge = _REGULARIZATION * jnp.trace(gram) + jnp.finfo(gram.dtype).tiny
        weights = jnp.linalg.solve(
            gram + ridge * jnp.eye(_MEMORY), history.residuals @ history.residual
        )
        state = history.image - weights @ history.images
        image = function(state)
        residual = image - state
        worse = ~(jnp.sum(residual**2) <= _GROWTH**2 * jnp.sum(history.residual**2))
        return jax.lax.cond(worse, restart, advance, history, state, image, residual)

    def advance(history: _History, state: Array, image: Array, residual: Array) -> _History:
        images = jnp.roll(history.images, 1, axis=0).at[0].set(image - history.image)
        residuals = jnp.roll(history.residuals, 1, axis=0).at[0].set(residual - history.residual)
        return _History(history.step + 1, state, image, residual, images, residuals)

    def restart(history: _History, *_: Array) -> _History:
        image = function(history.image)
        step = history.step + 1
        return _History(step, history.image, image, image - history.image, none, none)

    last = jax.lax.while_loop(moving, accelerate, history)
    return Settled(last.state, jnp.sum(last.residual**2), plain_steps + last.step)
