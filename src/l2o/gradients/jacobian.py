"""Gradients of several objectives, stacked: a Jacobian as a pytree."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from l2o.gradients._gramian import Gramian, tidied
from l2o.support.double_precision import knowing_double_precision

Jacobian = PyTree[Float[Array, "..."]]
"""Gradients of m objectives: every leaf has the leading axis m. A matrix (m, d) is one, too."""

# Numbers that are held in double precision at a time: what a core keeps near itself, and on an
# accelerator enough for all of its cores.
_BLOCK_ON_CPU = 2**17
_BLOCK_ELSEWHERE = 2**23
_FEW = 8


def num_objectives(jacobian: Jacobian) -> int:
    """The length m of the leading axis of all leaves.

    **Raises:** `ValueError` if there is no leaf, or the leaves have no common leading axis.
    """
    leaves = jax.tree.leaves(jacobian)
    sizes = {leaf.shape[:1] for leaf in leaves}
    if len(sizes) != 1 or () in sizes or (0,) in sizes:
        shapes = [leaf.shape for leaf in leaves]
        raise ValueError(
            f"Stacked gradients have a common leading axis, one entry an objective; got {shapes}."
        )
    return leaves[0].shape[0]


def check_stacked(jacobian: Jacobian, params: PyTree | None) -> None:
    """Makes sure that gradients are stacked over the shapes of the parameters, none left out.

    **Arguments:** `jacobian`; `params`, where they are known.

    **Raises:** `ValueError` for masked leaves, and for leaves whose shape is not that of the
    parameter behind one leading axis.
    """
    masked = jax.tree.leaves(jacobian, is_leaf=lambda leaf: isinstance(leaf, optax.MaskedNode))
    if any(isinstance(leaf, optax.MaskedNode) for leaf in masked):
        raise ValueError(
            "Gradients of several objectives were masked before they were combined: aggregate "
            "first and mask what follows, as in optax.chain(aggregate(...), optax.masked(...))."
        )
    m = num_objectives(jacobian)
    if params is None:
        return
    if jax.tree.structure(jacobian) != jax.tree.structure(params):
        raise ValueError("Stacked gradients must have the structure of the parameters.")
    for gradients, param in zip(jax.tree.leaves(jacobian), jax.tree.leaves(params), strict=True):
        shape, expected = gradients.shape, jnp.shape(param)
        if shape[1:] != expected:
            raise ValueError(
                f"Stacked gradients of {m} objectives for a parameter of shape {expected} have "
                f"shape {(m, *expected)}, got {shape}."
            )


def gramian(jacobian: Jacobian) -> Gramian:
    """Inner products of the gradients, `JJ'`, added up in double precision.

    So gradients of any size in the range of numbers are told from zero and from one another, and
    those that nearly cancel keep the digits of what is left.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf.

    **Raises:** `ValueError` if the leaves have no common leading axis.

    ```pycon
    >>> gramian = l2o.multiobjective.gramian(jnp.array([[2.0, 0.0], [0.0, 3.0]]))
    >>> gramian.norms, gramian.cosines[0, 1]
    (Array([2., 3.], dtype=float32), Array(0., dtype=float32))
    ```
    """
    m = num_objectives(jacobian)
    rows = [leaf.reshape(m, -1) for leaf in jax.tree.leaves(jacobian)]
    norms, cosines, remainder = _factored(tuple(rows))
    eps = float(jnp.finfo(cosines.dtype).eps)
    # Weights are rounded to single precision in the end, so no more than this can be of use.
    rounding = eps if cosines.dtype == jnp.float64 else (8 * eps) ** 2
    return Gramian(norms, cosines, remainder, rounding)


@jax.custom_jvp
def _factored(rows: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """Norms, cosines, and the remainders of these."""
    dtype = _dtype_of(rows)
    m = len(rows[0])

    def factor(*rows: Array) -> Float[Array, "rows m"]:
        # Small leaves together: what is compiled once for each leaf takes its time.
        most = _block_length(m)
        small = [leaf.astype(dtype) for leaf in rows if leaf.shape[1] < most // len(rows)]
        large = [leaf for leaf in rows if leaf.shape[1] >= most // len(rows)]
        parts = [*large, jnp.concatenate(small, axis=1)] if small else large
        products = sum((_products(leaf) for leaf in parts), start=jnp.zeros((m, m)))
        squares = jnp.diag(products)
        roots = jnp.sqrt(jnp.where(squares == 0.0, 1.0, squares))
        norms = jnp.where(squares == 0.0, 0.0, roots)
        cosines = tidied(norms, products / (roots[:, None] * roots))
        rounded = cosines.astype(dtype)
        remainder = cosines - rounded.astype(cosines.dtype)
        return jnp.concatenate([norms[None].astype(dtype), rounded, remainder.astype(dtype)])

    held = [jax.lax.stop_gradient(leaf) for leaf in rows]
    packed = knowing_double_precision(factor)(*held)
    return packed[0], packed[1 : m + 1], packed[m + 1 :]


@_factored.defjvp
def _(
    primals: tuple[tuple[Array, ...]], tangents: tuple[tuple[Array, ...]]
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    (rows,), (changes,) = primals, tangents
    norms, cosines, remainder = _factored(rows)
    is_zero = norms == 0.0
    inverses = jnp.where(is_zero, 0.0, 1 / jnp.where(is_zero, 1.0, norms))[:, None]

    def products(leaf: Float[Array, "m n"], change: Float[Array, "m n"]) -> Float[Array, "m m"]:
        unit, turn = inverses * leaf.astype(norms.dtype), inverses * change.astype(norms.dtype)
        return jnp.matmul(turn, unit.T, precision=jax.lax.Precision.HIGHEST)

    turned = sum(map(products, rows, changes), start=jnp.zeros_like(cosines))
    growth = jnp.diag(turned)
    slopes = turned + turned.T - (growth[:, None] + growth) * cosines
    slopes = jnp.where(jnp.eye(len(norms), dtype=bool), 0.0, slopes)
    return (norms, cosines, remainder), (norms * growth, slopes, jnp.zeros_like(remainder))


def _dtype_of(rows: tuple[Array, ...]) -> jnp.dtype:
    return jnp.promote_types(jnp.result_type(*rows), jnp.float32)


def _block_length(m: int) -> int:
    most = _BLOCK_ON_CPU if jax.default_backend() == "cpu" else _BLOCK_ELSEWHERE
    return max(most // m, 1)


def _products(rows: Float[Array, "m n"]) -> Float[Array, "m m"]:
    """Inner products in double precision, block by block."""
    m, n = rows.shape
    length = _block_length(m)

    def product(block: Float[Array, "m block"]) -> Float[Array, "m m"]:
        block = block.astype(jnp.float64)
        return jnp.matmul(block, block.T, precision=jax.lax.Precision.HIGHEST)

    if n < length:
        return product(rows)
    rest = product(rows[:, n // length * length :])

    def add(i: Array, total: Float[Array, "m m"]) -> Float[Array, "m m"]:
        return total + product(jax.lax.dynamic_slice_in_dim(rows, i * length, length, axis=1))

    return jax.lax.fori_loop(0, n // length, add, rest)


def gradient_norms(jacobian: Jacobian) -> Float[Array, " m"]:
    """Norms of the gradients; their squares need not be in the range of numbers.

    **Arguments:** `jacobian`, gradients stacked along the leading axis of every leaf.
    """

    def largest(leaf: Float[Array, "m ..."]) -> Float[Array, " m"]:
        return jnp.max(jnp.abs(leaf.reshape(len(leaf), -1)), axis=1, initial=0.0)

    leaves = jax.tree.leaves(jacobian)
    scales = jax.lax.stop_gradient(jnp.max(jnp.stack([largest(leaf) for leaf in leaves]), axis=0))
    is_zero = scales == 0.0
    scales = jnp.where(is_zero, 1.0, scales).astype(_dtype_of(tuple(leaves)))

    def squares(leaf: Float[Array, "m ..."]) -> Float[Array, " m"]:
        return jnp.sum((leaf.reshape(len(leaf), -1) / scales[:, None]) ** 2, axis=1)

    total = sum(map(squares, leaves), start=jnp.zeros(()))
    return jnp.where(is_zero, 0.0, scales * jnp.sqrt(jnp.where(is_zero, 1.0, total)))


def norm_of(tree: PyTree) -> Float[Array, ""]:
    """The norm of all numbers of a tree; its square need not be in the range of numbers."""
    return gradient_norms(jax.tree.map(lambda leaf: leaf[None], tree))[0]


def combine(jacobian: Jacobian, weights: Float[Array, " m"]) -> PyTree:
    """The weighted sum of the gradients, `J'w`, with the structure of the parameters.

    What has the weight zero is left out, even if it is not finite.
    """
    if len(weights) <= _FEW:
        return jax.tree.map(partial(_weighted_sum, weights), jacobian)
    total = jax.tree.map(partial(_product, weights), jacobian)
    # Looked for where it came to something, since looking through all gradients takes longer.
    sums = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(total)])
    is_usual = jnp.all(jnp.isfinite(sums)) | jnp.all(weights != 0.0)

    def without_zeros() -> PyTree:
        def present(leaf: Float[Array, "m ..."]) -> Float[Array, "m ..."]:
            is_zero = (weights == 0.0).reshape(-1, *[1] * (leaf.ndim - 1))
            return jnp.where(is_zero, 0.0, leaf)

        return jax.tree.map(lambda leaf: _product(weights, present(leaf)), jacobian)

    return jax.lax.cond(is_usual, lambda: total, without_zeros)


def _product(weights: Float[Array, " m"], leaf: Float[Array, "m ..."]) -> Float[Array, "..."]:
    factors = weights.astype(jnp.promote_types(leaf.dtype, weights.dtype))
    return jnp.tensordot(factors, leaf, axes=1).astype(leaf.dtype)


def _weighted_sum(weights: Float[Array, " m"], leaf: Float[Array, "m ..."]) -> Float[Array, "..."]:
    """The same, one after the other: of a few, a single loop in which to leave out is free."""
    terms = (
        jnp.where(weight == 0.0, 0.0, weight * row)
        for weight, row in zip(weights, leaf, strict=True)
    )
    return sum(terms, start=jnp.zeros(())).astype(leaf.dtype)


def products_with(jacobian: Jacobian, direction: PyTree) -> Float[Array, " m"]:
    """Inner products of all gradients with a direction, `Jd`."""

    def products(leaf: Float[Array, "m ..."], part: Float[Array, "..."]) -> Float[Array, " m"]:
        return leaf.reshape(len(leaf), -1) @ part.reshape(-1)

    return sum(jax.tree.leaves(jax.tree.map(products, jacobian, direction)), start=jnp.zeros(()))
