"""Roots of increasing functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def increasing_root(
    function: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    lower: Float[Array, "..."],
    upper: Float[Array, "..."],
) -> Float[Array, "..."]:
    """Where a function, increasing in each coordinate by itself, crosses zero, by bisection."""

    def halve(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        is_above = function(middle) > 0
        return jnp.where(is_above, low, middle), jnp.where(is_above, middle, high)

    low, high = jax.lax.fori_loop(0, 100, halve, (lower, upper))
    return (low + high) / 2
