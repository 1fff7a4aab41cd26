"""What a guard does when it rejects: steepest common descent with Armijo steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from l2o.gradients import gradient_norms
from l2o.multiobjective._criticality import common_descent
from l2o.multiobjective.guards.point import Point, scaled, with_gradient_only
from l2o.support.checks import check_integer, check_number

# After so many searches in vain, one after another, the pauses between them grow no more.
_LONGEST_PAUSE_EXPONENT = 6


class FallbackState(eqx.Module):
    """What the fallback remembers of its searches."""

    first_step: Float[Array, ""]
    """The step length with which the next search begins."""
    num_failures: Int[Array, ""]
    """How many searches in succession found no step."""
    pause: Int[Array, ""]
    """How many searches to leave out before the next."""


class Fallback(eqx.Module):
    """Steepest common descent, its step halved until all objectives decrease enough.

    The search asks for `f_i(x + t v) <= f_i(x) - beta t r_i` for all i, where the descent
    direction v promises every objective a slope of at most `-r_i`: `r_i = |v|^2` for the steepest
    one, and zero for an objective without a gradient. It begins at twice the last step that it
    took, so it is fast where gradients are small.

    A search that finds no step, as near a critical point where rounding hides what is left, is
    expensive. So after n of them in succession `2^n - 1` are left out, at most 63. Every other one
    goes on where the last one ended, the others begin at `first_step` again.

    **Arguments:**

    - `slope`: beta, between 0 and 1.
    - `first_step`: of the first search; larger than 0.
    - `normalizes`: take v from the gradients divided by their norms. Without it the direction is
      mostly that of the smallest gradient, and objectives of very different size stall it.
    - `most_halvings`: a search that is at its end then makes no step.

    ```pycon
    >>> fallback = l2o.multiobjective.Fallback(first_step=0.1)
    >>> l2o.guard(optax.sgd(0.1), fallback=fallback).fallback.first_step
    0.1
    ```
    """

    slope: float = 0.1
    first_step: float = 1.0
    normalizes: bool = eqx.field(static=True, default=True)
    most_halvings: int = eqx.field(static=True, default=40)

    def __check_init__(self) -> None:
        check_number("slope", self.slope, above=0, below=1)
        check_number("first_step", self.first_step, above=0)
        check_integer("most_halvings", self.most_halvings, least=1)

    def init(self) -> FallbackState:
        """No search yet."""
        return FallbackState(
            jnp.asarray(self.first_step, float), jnp.zeros((), int), jnp.zeros((), int)
        )

    def __call__(
        self, point: Point, state: FallbackState, is_needed: Bool[Array, ""]
    ) -> tuple[PyTree, FallbackState]:
        """The step from a point.

        **Arguments:** `point`; `state`; `is_needed`, without which nothing is evaluated.

        **Returns:** the update, zero if the search found none, was left out or was not needed;
        and the new state.
        """
        is_tried = is_needed & (state.pause == 0)
        direction, slopes = self._direction(point)
        search = armijo_search(
            point, direction, slopes, self.slope, state.first_step, self.most_halvings, is_tried
        )
        return scaled(direction, search.step), self._after(state, search, is_needed, is_tried)

    def _after(
        self,
        state: FallbackState,
        search: "ArmijoSearch",
        is_needed: Bool[Array, ""],
        is_tried: Bool[Array, ""],
    ) -> FallbackState:
        succeeds = search.step > 0.0
        # The pause may be over because the point has changed: a step that was accepted changes it.
        failures = jnp.where(
            is_tried & ~succeeds, state.num_failures + 1, jnp.where(is_tried, 0, state.num_failures)
        )
        failures = jnp.where(is_needed, failures, 0)
        length = jnp.minimum(failures, _LONGEST_PAUSE_EXPONENT)
        pause = jnp.where(is_tried, 2**length - 1, jnp.maximum(state.pause - 1, 0))
        in_vain = jnp.where(failures % 2 == 1, search.length, self.first_step)
        first_step = jnp.where(succeeds, 2.0 * search.step, in_vain)
        return FallbackState(
            jnp.where(is_tried, first_step, state.first_step).astype(state.first_step.dtype),
            failures,
            jnp.where(is_needed, pause, 0),
        )

    def _direction(self, point: Point) -> tuple[PyTree, "Slopes"]:
        """A direction, and the slopes that it promises."""
        if not self.normalizes:
            omega = point.descent.criticality
            return point.descent.direction, Slopes(omega, omega * point.has_gradient)
        norms = gradient_norms(point.jacobian)
        inverses = jnp.where(norms > 0.0, 1.0 / jnp.where(norms > 0.0, norms, 1.0), 0.0)
        units = jax.vmap(scaled)(point.jacobian, inverses)
        descent = common_descent(with_gradient_only(units, point.has_gradient))
        # As long as the smallest gradient, so that steps shrink near a critical point.
        smallest = jnp.min(norms, where=point.has_gradient, initial=jnp.inf)
        smallest = jnp.where(jnp.isinf(smallest), 0.0, smallest)
        slopes = Slopes(smallest, norms * descent.criticality**2)
        return scaled(descent.direction, smallest), slopes


class Slopes(eqx.Module):
    """By how much all objectives fall along a direction, as two factors.

    Their product may be larger or smaller than any number, as gradients and direction may be.
    """

    size: Float[Array, ""]
    rates: Float[Array, " m"]


class ArmijoSearch(eqx.Module):
    """What came of a search for a step."""

    step: Float[Array, ""]
    """The length that was found; 0 if none was."""
    length: Float[Array, ""]
    """Where the search ended."""


def armijo_search(
    point: Point,
    direction: PyTree,
    slopes: Slopes,
    slope: float,
    first: Float[Array, ""],
    most_halvings: int,
    is_needed: Bool[Array, ""],
) -> ArmijoSearch:
    """The first of `first`, `first / 2`, ... at which all objectives decrease enough.

    **Returns:** the length, 0 if none of `most_halvings` is or none is needed, and where the
    search ended. Both are held constant when the step is differentiated.
    """
    point, direction, slopes, first = jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf,
        (point, direction, slopes, first),
    )

    def is_enough(length: Float[Array, ""]) -> Bool[Array, ""]:
        after = jax.lax.stop_gradient(point.losses_after(scaled(direction, length)))
        fall = slope * (length * slopes.size) * slopes.rates
        # Some loss falls, or a step that rounds to nothing would do.
        return jnp.all(after <= point.losses - fall) & jnp.any(after < point.losses)

    def is_going_on(state: tuple[Array, Array, Array]) -> Bool[Array, ""]:
        _, succeeds, halvings = state
        return ~succeeds & (halvings < most_halvings)

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        length, _, halvings = state
        succeeds = is_enough(length)
        return jnp.where(succeeds, length, length / 2), succeeds, halvings + 1

    start = (first, ~is_needed, jnp.zeros((), jnp.int32))
    length, succeeds, _ = jax.lax.while_loop(is_going_on, halve, start)
    return ArmijoSearch(jnp.where(succeeds & is_needed, length, 0.0), length)
