"""All tensors of a model in one array, of whose rows each tensor has some of its own.

What is done with every number is then one loop, compiled once, however many tensors there are. What
a tensor has one of, such as a size, is a number for a *piece*: a tensor is one, or each of its last
two axes is. A piece is as many rows as it needs, the last one filled up with zeros. That rows stay
an axis, where a vector would do, lets XLA look up a row's piece once for all its numbers.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, Shaped

from l2o.support.scaling import power_of_two

Group = Float[Array, "_tensors ..."]
"""Tensors of the same shape, stacked."""

Rows = Float[Array, "rows width"]
"""Numbers of all tensors."""

_WIDTHS = (64, 16, 4, 1)
# A model of many small tensors is laid out in narrower rows than would fill it up by more.
_MOST_FILLED = 0.25


def stack(tree: PyTree, dtype: jnp.dtype) -> tuple[Group, ...]:
    """The leaves of a tree but empty ones, those of the same shape stacked; scalars are vectors.

    >>> [group.shape for group in stack([jnp.ones(3), jnp.ones(()), jnp.ones(3)], jnp.float32)]
    [(2, 3), (1, 1)]
    """
    leaves = jax.tree.leaves(tree)
    return tuple(
        jnp.stack([jnp.reshape(jnp.asarray(leaves[place], dtype), shape) for place in places])
        for shape, places in _places(leaves).items()
    )


def unstack(groups: Sequence[Group], like: PyTree) -> PyTree:
    """The inverse of `stack`: a tree with the structure, shapes and dtypes of `like`."""
    leaves, treedef = jax.tree.flatten(like)
    tensors = [jnp.zeros_like(leaf) for leaf in leaves]
    for group, places in zip(groups, _places(leaves).values(), strict=True):
        for tensor, place in zip(group, places, strict=True):
            leaf = leaves[place]
            tensors[place] = tensor.reshape(jnp.shape(leaf)).astype(jnp.result_type(leaf))
    return jax.tree.unflatten(treedef, tensors)


def _places(leaves: list[Any]) -> dict[tuple[int, ...], list[int]]:
    """The leaves of each shape, but empty ones, by their places in the tree."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, leaf in enumerate(leaves):
        if jnp.size(leaf):
            places.setdefault(jnp.shape(leaf) or (1,), []).append(place)
    return places


class _Part(NamedTuple):
    """Where the stacked tensors of one shape lie."""

    shape: tuple[int, ...]
    num_pieces: int
    size: int
    """Numbers in a piece."""


class Layout:
    """Where the numbers of stacked tensors lie in rows.

    >>> layout = Layout([jnp.ones((2, 3)), jnp.ones((1, 1))])
    >>> layout.mean(layout.join([jnp.ones((2, 3)), 5 * jnp.ones((1, 1))])).tolist()
    [1.0, 1.0, 5.0]

    **Arguments:** `groups`, stacked tensors, or descriptions of them; `by_last_two_axes`, whether
    the pieces of tensors of more than two axes are the last two.
    """

    def __init__(self, groups: Sequence[Group], *, by_last_two_axes: bool = False) -> None:
        self._parts = []
        for group in groups:
            kept = max(1, group.ndim - 2) if by_last_two_axes else 1
            lengths = group.shape[:kept], group.shape[kept:]
            self._parts.append(_Part(group.shape, *map(math.prod, lengths)))
        counts = [part.num_pieces for part in self._parts]
        self.sizes = np.repeat(np.asarray([part.size for part in self._parts], int), counts)
        """How many numbers each piece has."""
        ranks = [len(part.shape) - 1 for part in self._parts]
        self.is_matrix = np.repeat(np.asarray(ranks, int), counts) > 1
        """Whether each piece is of a tensor of rank 2 or more."""
        self._width = next(
            width
            for width in _WIDTHS
            if width == 1
            or np.sum(-(-self.sizes // width) * width) <= (1 + _MOST_FILLED) * np.sum(self.sizes)
        )
        rows = -(-self.sizes // self._width)
        self._piece = np.repeat(np.arange(self.sizes.size), rows)
        place = np.arange(self._piece.size) - (np.cumsum(rows) - rows)[self._piece]
        self._counts = np.clip(self.sizes[self._piece] - self._width * place, 0, self._width)

    @property
    def shape(self) -> tuple[int, int]:
        """That of the array: rows and their width."""
        return self._piece.size, self._width

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of the stacked tensors."""
        return tuple(part.shape for part in self._parts)

    @property
    def num_pieces(self) -> int:
        """How many pieces there are."""
        return self.sizes.size

    def join(self, groups: Sequence[Float[Array, "_tensors ..."]]) -> Rows:
        """Stacked tensors, or what is broadcast to their shapes, as rows."""
        joined = [jnp.zeros((0, self._width), jnp.result_type(*groups) if groups else None)]
        for group, part in zip(groups, self._parts, strict=True):
            pieces = jnp.broadcast_to(group, part.shape).reshape(part.num_pieces, part.size)
            filled = jnp.pad(pieces, ((0, 0), (0, -part.size % self._width)))
            joined.append(filled.reshape(-1, self._width))
        return jnp.concatenate(joined)

    def split(self, rows: Rows) -> tuple[Group, ...]:
        """The inverse of `join`."""
        # XLA for CPUs would compute all that rows come from in each tensor's program anew, were it
        # not for a gather, which it takes to use its operand more than once.
        rows = rows[np.arange(rows.shape[0])]
        groups, start = [], 0
        for part in self._parts:
            end = start + part.num_pieces * -(-part.size // self._width)
            pieces = rows[start:end].reshape(part.num_pieces, -1)
            groups.append(pieces[:, : part.size].reshape(part.shape))
            start = end
        return tuple(groups)

    def mean(self, rows: Rows) -> Float[Array, " pieces"]:
        """The mean of each piece."""
        return self._reduce(jax.ops.segment_sum, jnp.sum, rows) / self.sizes.astype(rows.dtype)

    def largest(self, rows: Rows) -> Float[Array, " pieces"]:
        """The largest magnitude in each piece."""
        return self._reduce(jax.ops.segment_max, jnp.max, jnp.abs(rows))

    def root_mean_square(self, rows: Rows) -> Float[Array, " pieces"]:
        """The root of each piece's mean square, for numbers of any size."""
        power = power_of_two(self.largest(rows), axes=())
        mean = self.mean((rows / self.spread(power)) ** 2)
        return power * jnp.where(mean > 0, jnp.sqrt(jnp.where(mean > 0, mean, 1)), 0)

    def normalized(self, rows: Rows, smallest: float) -> Rows:
        """Numbers over the root of `smallest` plus the mean square of their piece."""
        return rows * self.spread(jax.lax.rsqrt(smallest + self.mean(rows**2)))

    def spread(self, of_pieces: Shaped[Array, " pieces"]) -> Shaped[Array, "rows 1"]:
        """What a row's piece has, for each row."""
        return of_pieces[self._piece][:, None]

    def _reduce(
        self, over_rows: Callable[..., Array], over_numbers: Callable[..., Array], rows: Rows
    ) -> Float[Array, " pieces"]:
        is_number = np.arange(self._width) < jnp.asarray(self._counts)[:, None]
        of_rows = over_numbers(jnp.where(is_number, rows, 0), axis=1)
        return over_rows(of_rows, self._piece, self.num_pieces, indices_are_sorted=True)
