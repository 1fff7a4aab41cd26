"""Gradients of all objectives of a network with a trunk and heads."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from l2o.gradients._gramian import Gramian, divided, from_own_units, largest_number
from l2o.gradients._stacked import StackedGradients
from l2o.gradients.checks import shape_of_losses
from l2o.gradients.jacobian import Jacobian, combine, products_with
from l2o.gradients.protocol import Gradients
from l2o.support.checks import check_integer
from l2o.support.scaling import power_of_two

Representation = PyTree[Float[Array, "..."]]


class TrunkAndHeads(NamedTuple):
    """Parameters that all losses share, and those of each loss alone.

    ```pycon
    >>> params = l2o.tasks.TrunkAndHeads(trunk=jnp.ones(2), heads=(jnp.ones(1), jnp.ones(1)))
    >>> len(jax.tree.leaves(params))
    3
    ```
    """

    trunk: PyTree[Float[Array, "..."]]
    heads: tuple[PyTree[Float[Array, "..."]], ...]


Trunk = Callable[[PyTree], Representation]
"""From the trunk's parameters to the representation."""
HeadLosses = Callable[[int, PyTree, Any], Float[Array, ""]]
"""From the index of a loss, its head's parameters and the representation to the loss."""


class TrunkSplitGradients(Gradients):
    """Gradients of the heads, and of the representation, which go through the trunk when needed.

    A head's gradient is there once, not in a row of zeros of a Jacobian. Of the trunk, a column of
    the Gramian is one backward and one forward pass, and the products of what comes out with the
    gradients of the representation, which are small as a rule; `J'w` is one backward pass. No more
    than `chunk_size` gradients of the trunk exist at a time.
    """

    losses: Float[Array, " m"]
    trunk: PyTree[Float[Array, "..."]]
    """The trunk's parameters."""
    pushforward: Callable[[PyTree], Representation]
    """The derivative of the representation along a direction of the trunk's parameters."""
    of_representation: Jacobian
    """Gradients with respect to the representation, stacked."""
    of_heads: tuple[PyTree[Float[Array, "..."]], ...]
    """The gradient of each loss with respect to its own head; to all others it is zero."""
    chunk_size: int = eqx.field(static=True)

    def gramian(self) -> Gramian:
        """Inner products of the gradients, `JJ'`, in the losses' precision.

        Losses may be of any scale in its range: each is divided by a power of two that its
        gradients with respect to its head and to the representation have.
        """
        rows = [
            jax.tree.map(lambda leaf, i=index: leaf[i], self.of_representation)
            for index in range(len(self.of_heads))
        ]
        powers = jnp.stack(
            [power_of_two(largest_number(own)) for own in zip(rows, self.of_heads, strict=True)]
        )
        divide = jax.vmap(divided)

        def column(row: Representation) -> Float[Array, " m"]:
            moved = self.pushforward(self._through_trunk(row))
            return products_with(self.of_representation, moved)

        rows = divide(self.of_representation, powers)
        of_trunk = jax.lax.map(column, rows, batch_size=self.chunk_size)
        squares = [
            _square(divided(head, power)) for head, power in zip(self.of_heads, powers, strict=True)
        ]
        return from_own_units(of_trunk / powers + jnp.diag(jnp.stack(squares)), powers)

    def combine(self, weights: Float[Array, " m"]) -> TrunkAndHeads:
        """The weighted sum of the gradients, `J'w`; what has the weight zero is left out."""
        heads = tuple(
            jax.tree.map(lambda leaf, w=weight: _times(w, leaf), head)
            for weight, head in zip(weights, self.of_heads, strict=True)
        )
        return TrunkAndHeads(self._through_trunk(combine(self.of_representation, weights)), heads)

    def stack(self) -> Jacobian:
        """The Jacobian, in which m backward passes through the trunk are made together."""
        return _in_rows(jax.vmap(self._through_trunk)(self.of_representation), self.of_heads)

    def _through_trunk(self, gradient: Representation) -> PyTree:
        """From a gradient with respect to the representation to that of the trunk."""
        (through,) = jax.linear_transpose(self.pushforward, self.trunk)(gradient)
        return through


def trunk_split(
    trunk: Trunk, head_losses: HeadLosses, params: TrunkAndHeads, *, chunk_size: int = 1
) -> TrunkSplitGradients:
    """The gradients, where every head is differentiated once, and the trunk when it is needed.

    **Arguments:** `trunk`, from its parameters to the representation; `head_losses`, called with
    the index of a loss, its head's parameters and the representation; `params`; `chunk_size`, how
    many gradients of the trunk are made together, of which m need not be a multiple.

    **Raises:** `ValueError` if `chunk_size` is no whole number of at least 1, if the parameters are
    not all floating-point arrays, there is no head, or a loss is not a number.

    ```pycon
    >>> params = l2o.tasks.TrunkAndHeads(jnp.array(2.0), heads=(jnp.array(1.0), jnp.array(3.0)))
    >>> gradients = l2o.multiobjective.trunk_split(
    ...     lambda trunk: trunk**2, lambda index, head, features: head * features, params
    ... )
    >>> gradients.losses.tolist(), gradients.stack().trunk.tolist()
    ([4.0, 12.0], [4.0, 12.0])
    ```
    """
    check_integer("chunk_size", chunk_size, least=1)
    _check_losses(trunk, head_losses, params)
    representation, pushforward = jax.linearize(trunk, params.trunk)
    losses, of_heads, of_representation = _of_heads(head_losses, params.heads, representation)
    return TrunkSplitGradients(
        losses, params.trunk, pushforward, of_representation, of_heads, chunk_size
    )


def stacked_at_trunk(
    trunk: Trunk, head_losses: HeadLosses, params: TrunkAndHeads
) -> StackedGradients:
    """The whole Jacobian, where every head is differentiated once and not m times.

    The gradients with respect to the representation are stacked and go through the trunk together.

    **Arguments:** as for `trunk_split`.

    **Raises:** `ValueError` as `trunk_split` does.
    """
    _check_losses(trunk, head_losses, params)
    representation, through_trunk = jax.vjp(trunk, params.trunk)
    losses, of_heads, of_representation = _of_heads(head_losses, params.heads, representation)
    (of_trunk,) = jax.vmap(through_trunk)(of_representation)
    return StackedGradients(losses, _in_rows(of_trunk, of_heads))


def _check_losses(trunk: Trunk, head_losses: HeadLosses, params: TrunkAndHeads) -> None:
    def losses(params: TrunkAndHeads) -> Float[Array, " m"]:
        representation = trunk(params.trunk)
        each = [head_losses(index, head, representation) for index, head in enumerate(params.heads)]
        return jnp.stack(each) if each else jnp.zeros(0)

    shape_of_losses(losses, params)


def _of_heads(
    head_losses: HeadLosses, heads: tuple[PyTree, ...], representation: Representation
) -> tuple[Float[Array, " m"], tuple[PyTree, ...], Jacobian]:
    """All losses, their gradients with respect to their heads, and to the representation."""
    differentiated = [
        jax.value_and_grad(lambda head, z, i=index: head_losses(i, head, z), argnums=(0, 1))(
            head, representation
        )
        for index, head in enumerate(heads)
    ]
    losses = jnp.stack([loss for loss, _ in differentiated])
    of_heads = tuple(head for _, (head, _) in differentiated)
    rows = [row for _, (_, row) in differentiated]
    return losses, of_heads, jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)


def _in_rows(of_trunk: Jacobian, of_heads: tuple[PyTree, ...]) -> TrunkAndHeads:
    """The Jacobian, in which the gradient of a head is a row among zeros."""

    def in_row(index: int, gradient: Float[Array, "..."]) -> Float[Array, "m ..."]:
        zeros = jnp.zeros((len(of_heads), *gradient.shape), gradient.dtype)
        return zeros.at[index].set(gradient)

    heads = tuple(
        jax.tree.map(lambda leaf, i=index: in_row(i, leaf), head)
        for index, head in enumerate(of_heads)
    )
    return TrunkAndHeads(of_trunk, heads)


def _square(head: PyTree) -> Float[Array, ""]:
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(head)), start=jnp.zeros(()))


def _times(weight: Float[Array, ""], leaf: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(weight == 0.0, 0.0, weight * leaf).astype(leaf.dtype)
