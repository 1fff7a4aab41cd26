"""Lengths of vectors of any size, without squares that overflow or vanish.

Everything is divided by a power of two first, which changes no digit.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def power_of_two(
    numbers: Float[Array, "..."], axes: tuple[int, ...] | None = None
) -> Float[Array, "..."]:
    """A power of two near the largest magnitude along axes, which are kept, or of all numbers.

    It is 1 where there is no number but 0, or one that is not finite, and a constant to
    derivatives.
    """
    sizes = jnp.abs(jax.lax.stop_gradient(numbers))
    largest = jnp.max(sizes, axis=axes, keepdims=axes is not None, initial=0)
    power = jax.lax.reduce_precision(largest, jnp.finfo(largest.dtype).nexp, 0)
    return jnp.where((power > 0) & jnp.isfinite(power), power, 1)


def length_and_unit(
    vector: Float[Array, " size"],
) -> tuple[Float[Array, ""], Float[Array, " size"]]:
    """The Euclidean norm, and the vector divided by it.

    Zero stays zero, and derivatives there, of which there are none, are taken to be 0.
    """
    power = power_of_two(vector)
    scaled = vector / power
    square = jnp.sum(scaled * scaled)
    is_zero = square == 0
    norm = jnp.sqrt(jnp.where(is_zero, 1, square))
    return power * jnp.where(is_zero, 0, norm), jnp.where(is_zero, 0, scaled / norm)


def to_length(vector: Float[Array, " size"], length: Float[ArrayLike, ""]) -> Float[Array, " size"]:
    """The vector scaled to a length; zero stays zero."""
    scaled = vector / power_of_two(vector)
    norm = jnp.linalg.norm(scaled)
    return scaled * (length / jnp.where(norm > 0, norm, 1))


def root_mean_square(
    numbers: Float[Array, "*shape"], axes: tuple[int, ...] | None
) -> Float[Array, "*shape"]:
    """The root of the mean of squares along axes, or all, broadcast.

    Its derivative where all are 0 is taken to be 0: there is none.
    """
    power = power_of_two(numbers, axes)
    mean = jnp.mean(jnp.square(numbers / power), axis=axes, keepdims=True)
    root = jnp.where(mean > 0, jnp.sqrt(jnp.where(mean > 0, mean, 1)), 0)
    return jnp.broadcast_to(power * root, numbers.shape)


def standard_deviation(numbers: Float[Array, " count"]) -> Float[Array, ""]:
    """The standard deviation, with Bessel's correction: NaN for a single number."""
    power = power_of_two(numbers)
    return power * jnp.std(numbers / power, ddof=1)
