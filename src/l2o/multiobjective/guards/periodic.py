"""An optimizer that is guarded on a large batch at intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from l2o.gradients import stacked
from l2o.multiobjective.guards.accept import GuardRule, SufficientDecrease
from l2o.multiobjective.guards.decide import decide
from l2o.multiobjective.guards.fallback import Fallback, FallbackState
from l2o.multiobjective.guards.point import Point, chosen, moved
from l2o.optimizers import LearnedOptimizer, OptState, Updates, check_optimizer, from_optax
from l2o.support.checks import check_instance, check_size, in_a_line


class PeriodicGuardState(eqx.Module):
    """What a guard at intervals keeps from step to step."""

    optimizer: OptState
    """The guarded optimizer's own state."""
    anchor: PyTree
    """The parameters that passed the last test, or that the fallback put in place of others."""
    step: Int[Array, ""]
    """How many steps ago that was."""
    rule: PyTree
    fallback: FallbackState
    accepted: Bool[Array, ""]
    """Whether what the optimizer reached passed the last test."""
    criticality: Float[Array, ""]
    """omega on the large batch at the anchor before the last, of the objectives with a gradient;
    infinite before the first test."""


class PeriodicallyGuarded(LearnedOptimizer):
    """An optimizer with a guard at intervals around it. Made by `guard_at_intervals`."""

    optimizer: LearnedOptimizer
    losses: Callable[[PyTree], Float[Array, "..."]]
    rule: GuardRule
    fallback: Fallback
    every: int = eqx.field(static=True)

    def init(self, params: PyTree) -> PeriodicGuardState:
        """The state before the first step; the first anchor is `params`."""
        return PeriodicGuardState(
            self.optimizer.init(params),
            # A copy, so that parameters and state can both be donated.
            jax.tree.map(jnp.copy, params),
            jnp.zeros((), jnp.int32),
            self.rule.init(),
            self.fallback.init(),
            jnp.asarray(True),
            jnp.asarray(jnp.inf),
        )

    def update(
        self,
        grads: PyTree,
        state: PeriodicGuardState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, PeriodicGuardState]:
        """One step, free or tested.

        **Arguments:** all are handed to the optimizer, and none is needed by the guard but
        `params`.

        **Raises:** `ValueError` without `params`, or if the large batch's losses are neither a
        number nor a vector.
        """
        if params is None:
            raise ValueError("An optimizer guarded at intervals needs params at every step.")
        update, inner = self.optimizer.update(grads, state.optimizer, params, value=value, **extra)
        reached = moved(params, update)
        # What is not finite, or too far away, cannot be led back by adding something to it.
        finds_back = _finds_back(state.anchor, reached)

        def go_on() -> tuple[Updates, PeriodicGuardState]:
            kept = chosen(finds_back, update, jax.tree.map(jnp.zeros_like, update))
            return kept, eqx.tree_at(
                lambda state: (state.optimizer, state.step), state, (inner, state.step + 1)
            )

        def test() -> tuple[Updates, PeriodicGuardState]:
            nowhere = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), reached)
            tested = self._test(chosen(finds_back, reached, nowhere), inner, state)
            # What the anchor is, not what the parameters are, has been tested to the last digit.
            to_anchor = jax.tree.map(
                lambda a, x, u: (a - x).astype(u.dtype), tested.anchor, params, update
            )
            return to_anchor, tested

        return jax.lax.cond(state.step + 1 < self.every, go_on, test)

    def _test(
        self, reached: PyTree, inner: OptState, state: PeriodicGuardState
    ) -> PeriodicGuardState:
        """The state with a new anchor: what the optimizer reached, or what is safe."""

        def losses(params: PyTree) -> Float[Array, "..."]:
            return jnp.atleast_1d(self.losses(params))

        found = stacked(losses, state.anchor)
        point = Point.at(state.anchor, found.losses, found.jacobian, losses)
        since_anchor = jax.tree.map(jnp.subtract, reached, state.anchor)
        decision, fallback = decide(
            self.rule, self.fallback, point, since_anchor, state.rule, state.fallback
        )
        anchor = moved(state.anchor, decision.update)
        fresh = self.optimizer.init(anchor)
        is_lost = ~decision.accepted & _has_become_infinite(fresh, inner)
        return PeriodicGuardState(
            jax.lax.cond(is_lost, lambda: fresh, lambda: inner),
            anchor,
            jnp.zeros_like(state.step),
            decision.state,
            fallback,
            decision.accepted,
            point.descent.criticality.astype(state.criticality.dtype),
        )


def guard_at_intervals(
    optimizer: LearnedOptimizer | optax.GradientTransformation,
    losses: Callable[[PyTree], Float[Array, "..."]],
    rule: GuardRule | None = None,
    *,
    every: int,
    fallback: Fallback | None = None,
) -> PeriodicallyGuarded:
    """Guards an optimizer that works on minibatches, on a large batch and now and then.

    The optimizer is free for `every` steps. Then the point y that it reached is tested against
    the last anchor a, where the first is the initial parameters: with the default rule it is
    accepted if `f_i(y) <= f_i(a) - sigma omega(a)^2` for all i on the large batch. If so, it is
    the next anchor. If not, the update leads back to the anchor and from there one step of steepest
    common descent on, which is the next anchor, and the optimizer goes on there with the state
    that it has, or with a new one if numbers of it are no longer finite.

    The theorem of `l2o.guard` is true of the anchors: no loss of the large batch rises from one to
    the next, and omega goes to zero along them. It says nothing of the points between them, or of
    data that are not in the large batch.

    A free step that is not finite, or leads so far from the anchor that half of the digits would
    be lost on the way back, is left out; as the last one it fails the test. The large batch is
    looked at in tests alone; where the optimizer is mapped (`jax.vmap`,
    `l2o.optimizers.per_task`), it is at every step.

    **Arguments:**

    - `optimizer`: learned or from Optax, as for `l2o.guard`.
    - `losses`: from parameters to m losses, or one, on a large batch, always the same. What it
      holds is no meta-parameter. A task gives `l2o.tasks.ValueFunction(task, task.whole_batch())`.
    - `rule`: by default `SufficientDecrease()`.
    - `every`: the number of steps from test to test, the last of them included.
    - `fallback`: by default `Fallback()`.

    **Returns:** a learned optimizer; its state's `anchor` is what the theorem is about.

    **Raises:** `ValueError` if `every` is less than 1, and for arguments of another kind.

    ```pycon
    >>> losses = lambda x: jnp.stack([jnp.sum((x - 1) ** 2), jnp.sum((x + 1) ** 2)])
    >>> guarded = l2o.multiobjective.guard_at_intervals(optax.sgd(0.1), losses, every=10)
    >>> guarded.every
    10
    ```
    """
    check_size("every", every)
    if not callable(losses):
        raise ValueError(f"losses must be a function of the parameters, got {in_a_line(losses)}.")
    if isinstance(optimizer, optax.GradientTransformation):
        optimizer = from_optax(optimizer)
    rule = SufficientDecrease() if rule is None else rule
    fallback = Fallback() if fallback is None else fallback
    check_optimizer(optimizer)
    check_instance("rule", rule, GuardRule)
    check_instance("fallback", fallback, Fallback)
    return PeriodicallyGuarded(
        optimizer,
        _LargeBatch(losses),
        rule,
        fallback,
        every,
    )


@dataclass(frozen=True, eq=False)
class _LargeBatch:
    """The losses of the large batch, as one leaf: their arrays are no meta-parameters.

    Two are equal if all that they hold is, so that a guarded optimizer equals its copies.
    """

    losses: Callable[[PyTree], Float[Array, "..."]]

    def __call__(self, params: PyTree) -> Float[Array, "..."]:
        return self.losses(params)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _LargeBatch):
            return NotImplemented
        return self.losses is other.losses or bool(eqx.tree_equal(self.losses, other.losses))

    def __hash__(self) -> int:
        return hash(jax.tree.structure(self.losses))


def _finds_back(anchor: PyTree, params: PyTree) -> Bool[Array, ""]:
    """Whether parameters are finite and near enough for `params + (anchor - params)`."""

    def is_near(anchor: Float[Array, "..."], params: Float[Array, "..."]) -> Bool[Array, ""]:
        reach = 1.0 + jnp.max(jnp.abs(anchor), initial=0.0)
        reach = reach / jnp.sqrt(jnp.finfo(anchor.dtype).eps)
        return jnp.all(jnp.abs(params - anchor) <= reach)

    near = jax.tree.leaves(jax.tree.map(is_near, anchor, params))
    return jnp.all(jnp.stack(near))


def _has_become_infinite(fresh: PyTree, state: PyTree) -> Bool[Array, ""]:
    """Whether numbers of a state are not finite that are so in a fresh one."""
    lost = [
        jnp.any(jnp.isfinite(before) & ~jnp.isfinite(after))
        for before, after in zip(jax.tree.leaves(fresh), jax.tree.leaves(state), strict=True)
        if jnp.issubdtype(jnp.result_type(before), jnp.inexact)
    ]
    return jnp.any(jnp.asarray(lost, bool))
