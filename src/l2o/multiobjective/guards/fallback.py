"""What a guard does when it rejects: steepest common descent with Armijo steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from l2o.multiobjective.criticality import common_descent
from l2o.multiobjective.guards.point import Point, moved, scaled
from l2o.multiobjective.jacobian import squared_norm


class Fallback(eqx.Module):
    """Steepest common descent, its step halved until all objectives decrease enough.

    The search asks for `f_i(x + t v) <= f_i(x) - beta t r_i` for all i, where the descent
    direction v promises every objective a slope of at most `-r_i`: `r_i = |v|^2` for the steepest
    one. It begins at twice the last step that was found, so it is fast where gradients are small;
    at first, and after a search that found none, at `first_step`.

    **Arguments:**

    - `slope`: beta, between 0 and 1.
    - `first_step`: larger than 0.
    - `normalizes`: take v from the gradients divided by their norms. Without it the direction is
      mostly that of the smallest gradient, and objectives of very different size stall it.
    - `most_halvings`: a search that is at its end then makes no step.
    """

    slope: float = 0.1
    first_step: float = 1.0
    normalizes: bool = eqx.field(static=True, default=True)
    most_halvings: int = eqx.field(static=True, default=40)

    def init(self) -> Float[Array, ""]:
        """The step to begin with."""
        return jnp.asarray(self.first_step)

    def __call__(
        self, point: Point, first: Float[Array, ""], is_needed: Bool[Array, ""]
    ) -> tuple[PyTree, Float[Array, ""]]:
        """The step from a point.

        **Arguments:** `point`; `first`, the step length to begin with; `is_needed`, without which
        nothing is evaluated.

        **Returns:** the update, zero if the search found none or was not needed, and the step
        length to begin with the next time.
        """
        direction, rates = self._direction(point)
        length = armijo_length(
            point, direction, rates, self.slope, first, self.most_halvings, is_needed
        )
        found = jnp.where(length > 0.0, 2.0 * length, self.first_step)
        return scaled(direction, length), jnp.where(is_needed, found, first)

    def _direction(self, point: Point) -> tuple[PyTree, Float[Array, " m"]]:
        if not self.normalizes:
            square = point.descent.criticality**2
            return point.descent.direction, jnp.broadcast_to(square, point.losses.shape)
        norms = jnp.sqrt(jax.vmap(squared_norm)(point.jacobian))
        inverses = jnp.where(norms > 0.0, 1.0 / jnp.where(norms > 0.0, norms, 1.0), 0.0)
        units = jax.vmap(scaled)(point.jacobian, inverses)
        descent = common_descent(units)
        # As long as the smallest gradient, so that steps shrink near a critical point.
        smallest = jnp.min(norms)
        return scaled(descent.direction, smallest), norms * smallest * descent.criticality**2


def armijo_length(
    point: Point,
    direction: PyTree,
    rates: Float[Array, " m"],
    slope: float,
    first: Float[Array, ""],
    most_halvings: int,
    is_needed: Bool[Array, ""],
) -> Float[Array, ""]:
    """The first of `first`, `first / 2`, ... at which all objectives decrease enough.

    **Returns:** the length; 0 if none of `most_halvings` is, or none is needed. It is held
    constant when the step is differentiated.
    """
    held = jax.lax.stop_gradient((point.params, point.losses, direction, rates, first))
    params, losses, direction, rates, first = held

    def is_enough(length: Float[Array, ""]) -> Bool[Array, ""]:
        after = point.loss_function(moved(params, scaled(direction, length)))
        return jnp.all(jax.lax.stop_gradient(after) <= losses - slope * length * rates)

    def is_going_on(state: tuple[Array, Array, Array]) -> Bool[Array, ""]:
        _, found, halvings = state
        return ~found & (halvings < most_halvings)

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        length, _, halvings = state
        found = is_enough(length)
        return jnp.where(found, length, length / 2), found, halvings + 1

    start = (first, ~is_needed, jnp.zeros((), jnp.int32))
    length, found, _ = jax.lax.while_loop(is_going_on, halve, start)
    return jnp.where(found & is_needed, length, 0.0)
