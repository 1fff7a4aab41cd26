"""Fixed-point iteration with Anderson acceleration."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_MEMORY = 5
# A difference that lies in the span of newer ones up to this share of its length is not used.
_DEPENDENT = 1e-12
# An accelerated step that makes the residual larger by more than this is taken back.
_GROWTH = 2.0


class Iterate(eqx.Module):
    """Where an iteration of h <- F(h) stands."""

    num_steps: Int[Array, ""]
    state: Float[Array, " state"]
    """h."""
    image: Float[Array, " state"]
    """F(h)."""
    images: Float[Array, "memory state"]
    """Differences of successive images, the newest first."""
    residuals: Float[Array, "memory state"]
    """Differences of successive residuals F(h) - h."""

    @property
    def residual(self) -> Float[Array, " state"]:
        """F(h) - h."""
        return self.image - self.state

    @property
    def error(self) -> Float[Array, ""]:
        """The sum of squares of F(h) - h."""
        return jnp.sum(self.residual**2)


def iterate_to_rest(
    function: Callable[[Float[Array, " state"]], Float[Array, " state"]],
    start: Float[Array, " state"],
    *,
    tolerance: float,
    max_steps: int,
) -> Iterate:
    """Iterates h <- F(h) with Anderson acceleration of depth 5.

    Source: Walker and Ni, *Anderson acceleration for fixed-point iterations*, 2011, with steps that
    make the residual much larger taken back. The small least-squares problems are solved by
    Gram-Schmidt orthogonalisation, since that maps over many starts as element-wise work.

    **Arguments:** `function`, F; `start`; `tolerance`, of the sum of squares of F(h) - h, relative
    to that of h where it is above 1; `max_steps`.

    **Returns:** where it ended: at rest, after all the steps, or where F is not finite.
    """

    def begin(state: Array, num_steps: Array) -> Iterate:
        none = jnp.zeros((_MEMORY, *start.shape))
        return Iterate(num_steps, state, function(state), none, none)

    def moving(at: Iterate) -> Any:
        rest = at.error <= tolerance * jnp.maximum(1.0, jnp.sum(at.state**2))
        return ~rest & jnp.isfinite(at.error) & (at.num_steps < max_steps)

    def step(at: Iterate) -> Iterate:
        state = _accelerated(at)
        image = function(state)
        worse = ~(jnp.sum((image - state) ** 2) <= _GROWTH**2 * at.error)
        # Where it is worse, go on from the plain image without a memory.
        state = jnp.where(worse, at.image, state)
        image = jnp.where(worse, function(at.image), image)
        images = _pushed(at.images, image - at.image, worse)
        residuals = _pushed(at.residuals, image - state - at.residual, worse)
        return Iterate(at.num_steps + 1, state, image, images, residuals)

    return jax.lax.while_loop(moving, step, begin(start, jnp.asarray(0)))


def _accelerated(at: Iterate) -> Float[Array, " state"]:
    """The image, less the combination of differences that makes the residual smallest."""
    residual, image = at.residual, at.image
    directions, images = list(at.residuals), list(at.images)
    for i in range(_MEMORY):
        square = jnp.sum(directions[i] ** 2)
        used = square > _DEPENDENT**2 * jnp.sum(at.residuals[i] ** 2)
        inverse = jnp.where(used, 1 / jnp.where(used, square, 1.0), 0.0)
        weight = inverse * jnp.sum(directions[i] * residual)
        residual = residual - weight * directions[i]
        image = image - weight * images[i]
        for j in range(i + 1, _MEMORY):
            share = inverse * jnp.sum(directions[i] * directions[j])
            directions[j] = directions[j] - share * directions[i]
            images[j] = images[j] - share * images[i]
    return image


def _pushed(
    memory: Float[Array, "memory state"], newest: Float[Array, " state"], forget: Array
) -> Float[Array, "memory state"]:
    """The memory with a new difference in front, and the oldest, or all, forgotten."""
    pushed = jnp.concatenate([newest[None], memory[:-1]])
    return jnp.where(forget, 0.0, pushed)
