"""Where a guard stands: parameters, losses, gradients, and what can be asked there."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from l2o.multiobjective.criticality import CommonDescent, common_descent
from l2o.multiobjective.jacobian import Jacobian


class Point(eqx.Module):
    """Parameters, with losses and gradients of m objectives."""

    params: PyTree
    losses: Float[Array, " m"]
    jacobian: Jacobian
    loss_function: Callable[[PyTree], Float[Array, " m"]]
    descent: CommonDescent

    @classmethod
    def at(
        cls,
        params: PyTree,
        losses: Float[Array, " m"],
        jacobian: Jacobian,
        loss_function: Callable[[PyTree], Float[Array, " m"]],
    ) -> "Point":
        """The point, with its steepest common descent direction."""
        return cls(params, losses, jacobian, loss_function, common_descent(jacobian))

    def losses_after(self, update: PyTree) -> Float[Array, " m"]:
        """The losses where an update leads."""
        return self.loss_function(moved(self.params, update))

    def jacobian_after(self, update: PyTree) -> Jacobian:
        """The gradients where an update leads."""
        return jax.jacrev(self.loss_function)(moved(self.params, update))


def moved(params: PyTree, update: PyTree) -> PyTree:
    """Parameters plus update."""
    return jax.tree.map(lambda x, u: x + u.astype(x.dtype), params, update)


def scaled(tree: PyTree, factor: Float[Array, ""]) -> PyTree:
    """A tree times a number; where the number is 0, zeros, even of what is not finite."""

    def scale(leaf: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.where(factor == 0.0, 0.0, leaf * factor.astype(leaf.dtype))

    return jax.tree.map(scale, tree)


def chosen(condition: Bool[Array, ""], one: PyTree, other: PyTree) -> PyTree:
    """One tree or another."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b.astype(a.dtype)), one, other)
