"""Rules by which a guard takes a learned step, changes it, or falls back."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from l2o.gradients import combine, gramian, norm_of, products_with
from l2o.multiobjective._criticality import criticality
from l2o.multiobjective.guards.fallback import Slopes, armijo_search
from l2o.multiobjective.guards.point import Point, chosen, scaled
from l2o.multiobjective.programs.cosines import cosines_of
from l2o.multiobjective.programs.nonnegative_program import nonnegative_program
from l2o.support.checks import check_integer, check_number

FallBack = Callable[[Bool[Array, ""]], PyTree]
"""The fallback's update; zero, and nothing evaluated, where it is not needed."""


class Decision(NamedTuple):
    """What a rule makes of a learned update."""

    update: PyTree
    accepted: Bool[Array, ""]
    """Whether the update is the learned one, if perhaps changed, and not the fallback's."""
    state: PyTree


class GuardRule(eqx.Module):
    """Decides between a learned update and the fallback's."""

    def init(self) -> PyTree:
        """The rule's state before the first step; `None` by default."""
        return None

    @abc.abstractmethod
    def __call__(
        self, point: Point, update: PyTree, fall_back: FallBack, state: PyTree
    ) -> Decision:
        """Decides at a point. The learned update may be anything, finite or not."""


class SufficientDecrease(GuardRule):
    """Accepts what decreases all objectives enough: `f_i(y) <= f_i(x) - sigma omega(x)^2`.

    An objective without a gradient must not rise. Where the right-hand sides are the losses
    themselves, up to rounding, some loss has to fall all the same, so that an optimizer that
    stands still is not taken for one that gets on. Only at a critical point, where omega is
    zero, is it enough that none rises.

    **Arguments:** `sigma`, larger than 0, and small against the step sizes that are good, which
    for losses times c are those for the losses over c.

    ```pycon
    >>> guarded = l2o.guard(optax.sgd(0.1), l2o.multiobjective.SufficientDecrease(sigma=1e-3))
    >>> guarded.rule.sigma
    0.001
    ```
    """

    sigma: float = 1e-4

    def __check_init__(self) -> None:
        check_number("sigma", self.sigma, above=0)

    def __call__(
        self, point: Point, update: PyTree, fall_back: FallBack, state: PyTree
    ) -> Decision:
        """Takes the update or falls back."""
        omega = point.descent.criticality
        least = self.sigma * omega**2 * point.has_gradient
        after = point.losses_after(update)
        gets_on = jnp.any(after < point.losses) | (omega == 0.0)
        accepted = jnp.all(after <= point.losses - least) & gets_on
        return Decision(chosen(accepted, update, fall_back(~accepted)), accepted, state)


class DirectionTest(GuardRule):
    """Accepts a direction that descends on all objectives, and searches a step along it.

    The tests are `<g_i, d> <= -smallest_slope omega^2` for all i and `|d| <= largest_norm omega`.
    The losses are evaluated along d, from the whole of it on by halves, for an Armijo step.

    **Arguments:** `smallest_slope`, c_1; `largest_norm`, c_2; `slope`, beta of the Armijo step;
    `most_halvings`, after which it falls back.

    ```pycon
    >>> guarded = l2o.guard(optax.sgd(0.1), l2o.multiobjective.DirectionTest(slope=0.2))
    >>> guarded.rule.slope
    0.2
    ```
    """

    smallest_slope: float = 1e-4
    largest_norm: float = 1e4
    slope: float = 0.1
    most_halvings: int = eqx.field(static=True, default=40)

    def __check_init__(self) -> None:
        check_number("smallest_slope", self.smallest_slope, above=0)
        check_number("largest_norm", self.largest_norm, above=0)
        check_number("slope", self.slope, above=0, below=1)
        check_integer("most_halvings", self.most_halvings, least=1)

    def __call__(
        self, point: Point, update: PyTree, fall_back: FallBack, state: PyTree
    ) -> Decision:
        """Takes a part of the update or falls back."""
        rates = -products_with(point.jacobian, update)
        omega = point.descent.criticality
        passes = jnp.all(rates >= self.smallest_slope * omega**2 * point.has_gradient)
        passes &= norm_of(update) <= self.largest_norm * omega
        return _along(
            self.slope, self.most_halvings, point, update, rates, passes, fall_back, state
        )


class ResidualTest(GuardRule):
    """Accepts what makes omega small against its average over accepted steps.

    The test is `omega(y) <= factor mu`, and then mu moves to omega(y) by the share `rate`. This is
    the residual test of Heaton et al. 2020 (Safe-L2O) with the residual omega: objectives may
    rise, and it promises no more than a lower limit of zero. It takes the gradients at y.

    **Arguments:** `factor`, below 1; `rate`, above 0 and at most 1.

    ```pycon
    >>> guarded = l2o.guard(optax.sgd(0.1), l2o.multiobjective.ResidualTest(factor=0.9))
    >>> guarded.rule.factor
    0.9
    ```
    """

    factor: float = 0.99
    rate: float = 0.5

    def __check_init__(self) -> None:
        check_number("factor", self.factor, above=0)
        check_number("rate", self.rate, above=0, most=1)

    def init(self) -> Float[Array, ""]:
        """No average yet: infinity."""
        return jnp.asarray(jnp.inf)

    def __call__(
        self, point: Point, update: PyTree, fall_back: FallBack, state: PyTree
    ) -> Decision:
        """Takes the update or falls back."""
        average = jnp.where(jnp.isinf(state), point.descent.criticality, state)
        omega = criticality(point.jacobian_after(update))
        accepted = omega <= self.factor * average
        average = jnp.where(accepted, average + self.rate * (omega - average), average)
        return Decision(chosen(accepted, update, fall_back(~accepted)), accepted, average)


class BestOfTwo(GuardRule):
    """Takes whichever does more for the objective that it does the least for.

    Learned and fallback step are compared by `max_i f_i(y) - f_i(x)`, as Premont-Schwarz et al.
    2022 (LGL2O) compare losses. Nothing has to be set, and both steps are always made.

    ```pycon
    >>> guarded = l2o.guard(optax.sgd(0.1), l2o.multiobjective.BestOfTwo())
    >>> type(guarded.rule).__name__
    'BestOfTwo'
    ```
    """

    def __call__(
        self, point: Point, update: PyTree, fall_back: FallBack, state: PyTree
    ) -> Decision:
        """Takes the better update."""
        other = fall_back(jnp.asarray(True))

        def merit(update: PyTree) -> Float[Array, ""]:
            changes = point.losses_after(update) - point.losses
            # Of an objective without a gradient no fall can be had.
            asked = jnp.where(point.has_gradient | (changes > 0.0), changes, -jnp.inf)
            return jnp.where(jnp.any(jnp.isnan(changes)), jnp.nan, jnp.max(asked))

        accepted = merit(update) <= merit(other)
        return Decision(chosen(accepted, update, other), accepted, state)


class DualConeProjection(GuardRule):
    """Turns a learned direction as little as it takes to descend on all objectives.

    d becomes the nearest direction with `<g_i, d> <= -smallest_slope omega^2` for all i, and a
    step is searched along it as in `DirectionTest`. Before that, d is shortened to
    `largest_norm omega`. It falls back only where d is not finite or the search finds nothing.

    **Arguments:** `smallest_slope`, at most 1; `largest_norm`; `slope`, beta of the Armijo step;
    `most_halvings`, after which it falls back.

    ```pycon
    >>> guarded = l2o.guard(optax.sgd(0.1), l2o.multiobjective.DualConeProjection())
    >>> guarded.rule.smallest_slope
    0.1
    ```
    """

    smallest_slope: float = 0.1
    largest_norm: float = 1e4
    slope: float = 0.1
    most_halvings: int = eqx.field(static=True, default=40)

    def __check_init__(self) -> None:
        check_number("smallest_slope", self.smallest_slope, above=0, most=1)
        check_number("largest_norm", self.largest_norm, above=0)
        check_number("slope", self.slope, above=0, below=1)
        check_integer("most_halvings", self.most_halvings, least=1)

    def __call__(
        self, point: Point, update: PyTree, fall_back: FallBack, state: PyTree
    ) -> Decision:
        """Takes a part of the projected update or falls back."""
        omega = point.descent.criticality
        norm = norm_of(update)
        passes = jnp.isfinite(norm)
        tiny = jnp.finfo(norm.dtype).tiny
        shortening = jnp.minimum(1.0, self.largest_norm * omega / jnp.maximum(norm, tiny))
        update = scaled(update, jnp.where(passes, shortening, 0.0))
        norms, cosines = cosines_of(gramian(point.jacobian))
        least = self.smallest_slope * omega**2 * point.has_gradient
        safe = jnp.where(norms > 0.0, norms, 1.0)
        excess = (products_with(point.jacobian, update) + least) / safe
        size = jnp.maximum(jnp.max(jnp.abs(excess)), tiny)
        multipliers = size * nonnegative_program(cosines, -excess / size) / safe
        against = combine(point.jacobian, multipliers)
        update = jax.tree.map(jnp.subtract, update, against)
        # Some of the slope asked for may be lost to rounding.
        passes &= jnp.all(-products_with(point.jacobian, update) >= 0.5 * least)
        return _along(
            self.slope, self.most_halvings, point, update, least, passes, fall_back, state
        )


def _along(
    slope: float,
    most_halvings: int,
    point: Point,
    direction: PyTree,
    rates: Float[Array, " m"],
    passes: Bool[Array, ""],
    fall_back: FallBack,
    state: PyTree,
) -> Decision:
    """An Armijo step along a direction that passes, otherwise the fallback's."""
    one = jnp.ones_like(point.descent.criticality)
    slopes = Slopes(one, rates)
    step = armijo_search(point, direction, slopes, slope, one, most_halvings, passes).step
    accepted = step > 0.0
    along = scaled(direction, step)
    return Decision(chosen(accepted, along, fall_back(~accepted)), accepted, state)
