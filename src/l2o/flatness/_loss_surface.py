"""Slices through a loss along one or two directions."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from l2o.flatness._rescaled import filter_norms
from l2o.flatness.estimate import SAMPLES_AT_ONCE
from l2o.flatness.raveled import Loss, in_single, moves, split, still
from l2o.support.checks import check_size
from l2o.support.keys import check_key


class LossSurface(eqx.Module):
    """The loss on a line or a plane through the parameters."""

    coordinates: Float[Array, "*batch points"]
    """How far along a direction, the same for each; evenly spaced around 0."""
    losses: Float[Array, "*batch_and_points"]
    """With an axis of points for each direction, the first one first."""
    directions: tuple[PyTree, ...]
    """What is added to the parameters where a coordinate is 1."""


def loss_surface(
    loss: Loss,
    params: PyTree,
    key: PRNGKeyArray,
    *,
    dimensions: int = 2,
    radius: Float[ArrayLike, ""] = 1.0,
    num_points: int = 25,
) -> LossSurface:
    """The loss on a line or a plane through its parameters, in random directions.

    Directions are those of `filter_normalised_direction`, so that slices of different networks can
    be compared: at a coordinate of 1, what is added to each filter is as large as the filter.
    Source: Li et al. 2018.

    **Arguments:** `loss`; `params`, the point in the middle; `key`, for the directions;
    `dimensions`, 1 for a line, 2 for a plane; `radius`, the largest coordinate; `num_points`,
    along each direction; an odd number has `params` among them.

    **Raises:** `ValueError` for other dimensions, or fewer than 2 points.

    ```pycon
    >>> loss = lambda x: jnp.sum(x**2)
    >>> surface = l2o.flatness.loss_surface(loss, jnp.ones(2), jax.random.key(0), num_points=5)
    >>> surface.losses.shape
    (5, 5)
    ```
    """
    if dimensions not in (1, 2):
        raise ValueError(f"dimensions must be 1 or 2, got {dimensions}.")
    check_key(key)
    keys = jax.random.split(key, dimensions)
    directions = tuple(filter_normalised_direction(params, key) for key in keys)
    return loss_slice(loss, params, directions, radius=radius, num_points=num_points)


def loss_slice(
    loss: Loss,
    params: PyTree,
    directions: tuple[PyTree, ...],
    *,
    radius: Float[ArrayLike, ""] = 1.0,
    num_points: int = 25,
) -> LossSurface:
    """The loss on a line or a plane through its parameters, in given directions.

    **Arguments:** as for `loss_surface`; `directions`, one or two pytrees like `params`.

    **Raises:** `ValueError` for another number of directions, or fewer than 2 points.

    ```pycon
    >>> loss = lambda x: jnp.sum(x**2)
    >>> l2o.flatness.loss_slice(loss, jnp.zeros(2), (jnp.array([1.0, 0.0]),), num_points=3).losses
    Array([1., 0., 1.], dtype=float32)
    ```
    """
    if len(directions) not in (1, 2):
        raise ValueError(f"There must be 1 or 2 directions, got {len(directions)}.")
    check_size("num_points", num_points, least=2)
    moving, held = split(params)
    mask = moves(params)
    along = [eqx.filter(direction, mask) for direction in directions]
    coordinates = jnp.asarray(radius) * jnp.linspace(-1.0, 1.0, num_points)
    axes = jnp.meshgrid(*[coordinates] * len(directions), indexing="ij")

    def evaluate(point: Float[Array, " directions"]) -> Float[Array, ""]:
        def moved(leaf: Array, *along: Array) -> Array:
            leaf = in_single(leaf)
            return leaf + sum(
                step.astype(leaf.dtype) * part for step, part in zip(point, along, strict=True)
            )

        return loss(eqx.combine(jax.tree.map(moved, moving, *along), held))

    points = jnp.stack([axis.ravel() for axis in axes], -1)
    losses = jax.lax.map(evaluate, points, batch_size=min(SAMPLES_AT_ONCE, len(points)))
    return LossSurface(coordinates, losses.reshape(axes[0].shape), directions)


def filter_normalised_direction(params: PyTree, key: PRNGKeyArray) -> PyTree:
    """A random direction in which each filter is as large as that of the parameters.

    Normal numbers, scaled so that the weights into each unit have the norm of the parameters'.
    Leaves with less than two axes, such as biases, are not moved, as is usual, and neither are
    integers. Source: Li et al.
    2018, section 4.

    **Arguments:** `params`; `key`.

    ```pycon
    >>> params = {"weight": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
    >>> direction = l2o.flatness.filter_normalised_direction(params, jax.random.key(0))
    >>> jnp.linalg.norm(direction["weight"], axis=0).round(4)  # as those of the filters, sqrt(3)
    Array([1.7321, 1.7321], dtype=float32)
    ```
    """
    check_key(key)
    moving, held = split(params)
    leaves, treedef = jax.tree.flatten(jax.tree.map(in_single, moving))
    keys = jax.random.split(key, max(1, len(leaves)))
    normal = jax.tree.unflatten(
        treedef,
        [
            jax.random.normal(key, leaf.shape, leaf.dtype)
            for key, leaf in zip(keys, leaves, strict=False)
        ],
    )

    def scaled(leaf: Any, drawn: Array, drawn_norm: Array, norm: Array) -> Array:
        leaf = jnp.asarray(leaf)
        scaled = jnp.zeros_like(drawn) if leaf.ndim < 2 else drawn / drawn_norm * norm
        return scaled.astype(leaf.dtype)

    directions = jax.tree.map(scaled, moving, normal, filter_norms(normal), filter_norms(moving))
    return eqx.combine(directions, still(held))
