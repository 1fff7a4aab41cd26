"""What a set of points is."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def as_points(points: ArrayLike, name: str = "points") -> Float[Array, "points m"]:
    """Gives points, one row each, as floating-point numbers.

    **Arguments:** `points`, losses of m objectives, one row a point; `name`, for the message.

    **Raises:** `ValueError` for anything but a matrix of real numbers.
    """
    array = jnp.asarray(points)
    if array.ndim != 2 or jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(
            f"{name} must be real numbers, one row a point and one column an objective; got "
            f"{array.dtype} of shape {array.shape}."
        )
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
