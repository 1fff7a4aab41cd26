"""Where a guard stands: parameters, losses, gradients, and what can be asked there."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from l2o.gradients import Jacobian
from l2o.multiobjective._criticality import CommonDescent, common_descent


class Point(eqx.Module):
    """Parameters, with losses and gradients of m objectives.

    Objectives without a gradient, such as a task without labels in the batch, say nothing about
    the way to go: they are left out of `descent`, and all that is asked is that they do not rise.
    """

    params: PyTree
    losses: Float[Array, " m"]
    jacobian: Jacobian
    loss_function: Callable[[PyTree], Float[Array, " m"]]
    has_gradient: Bool[Array, " m"]
    descent: CommonDescent
    """Steepest common descent of the objectives that have a gradient."""

    @classmethod
    def at(
        cls,
        params: PyTree,
        losses: Float[Array, " m"],
        jacobian: Jacobian,
        loss_function: Callable[[PyTree], Float[Array, " m"]],
    ) -> "Point":
        """The point, with its steepest common descent direction."""
        has_gradient = _has_gradient(jacobian)
        descent = common_descent(with_gradient_only(jacobian, has_gradient))
        return cls(params, losses, jacobian, loss_function, has_gradient, descent)

    def losses_after(self, update: PyTree) -> Float[Array, " m"]:
        """The losses where an update leads.

        No loss is computed with parameters that are not finite: these, and losses of minus
        infinity, are no success. Not a number stands for both, which passes no comparison.
        """
        there, is_finite = self._where(update)
        after = self.loss_function(there)
        return jnp.where(is_finite & ~jnp.isneginf(after), after, jnp.nan)

    def jacobian_after(self, update: PyTree) -> Jacobian:
        """The gradients where an update leads; not numbers where the parameters are not finite."""
        there, is_finite = self._where(update)
        gradients = jax.jacrev(self.loss_function)(there)
        return jax.tree.map(lambda leaf: jnp.where(is_finite, leaf, jnp.nan), gradients)

    def _where(self, update: PyTree) -> tuple[PyTree, Bool[Array, ""]]:
        """Where an update leads, and whether that is finite; if not, the point itself."""
        there = moved(self.params, update)
        leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(there)]
        is_finite = jnp.all(jnp.asarray(leaves, bool))
        return chosen(is_finite, there, self.params), is_finite


def _has_gradient(jacobian: Jacobian) -> Bool[Array, " m"]:
    """Which objectives have a gradient that is not zero."""
    leaves = jax.tree.leaves(jacobian)
    is_there = [jnp.any(leaf.reshape(len(leaf), -1) != 0.0, axis=1) for leaf in leaves]
    return jnp.any(jnp.stack(is_there), axis=0)


def with_gradient_only(jacobian: Jacobian, has_gradient: Bool[Array, " m"]) -> Jacobian:
    """Gradients in which a copy of the first that is not zero stands in for those that are.

    A gradient that is there twice changes no convex combination.
    """
    first = jnp.argmax(has_gradient)

    def fill(leaf: Float[Array, "m ..."]) -> Float[Array, "m ..."]:
        there = has_gradient.reshape(-1, *(1,) * (leaf.ndim - 1))
        return jnp.where(there, leaf, leaf[first])

    return jax.tree.map(fill, jacobian)


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
