"""An optimizer that is guarded."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from l2o.gradients import as_jacobian
from l2o.multiobjective.guards.accept import GuardRule, SufficientDecrease
from l2o.multiobjective.guards.decide import decide
from l2o.multiobjective.guards.fallback import Fallback, FallbackState
from l2o.multiobjective.guards.point import Point
from l2o.optimizers import LearnedOptimizer, OptState, Updates, check_optimizer, from_optax
from l2o.support.checks import check_instance


class GuardState(eqx.Module):
    """What a guard keeps from step to step."""

    optimizer: OptState
    """The guarded optimizer's own state."""
    rule: PyTree
    fallback: FallbackState
    accepted: Bool[Array, ""]
    """Whether the last update was the optimizer's."""
    criticality: Float[Array, ""]
    """omega before the last update, of the objectives with a gradient; infinite at first."""


class Guarded(LearnedOptimizer):
    """An optimizer with a guard around it. Made by `l2o.guard`."""

    optimizer: LearnedOptimizer
    rule: GuardRule
    fallback: Fallback

    def init(self, params: PyTree) -> GuardState:
        """The state before the first step."""
        return GuardState(
            self.optimizer.init(params),
            self.rule.init(),
            self.fallback.init(),
            jnp.asarray(True),
            jnp.asarray(jnp.inf),
        )

    def update(
        self,
        grads: PyTree,
        state: GuardState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        grad: PyTree | None = None,
        value_fn: Callable[[PyTree], Float[Array, "..."]] | None = None,
        **extra: Any,
    ) -> tuple[Updates, GuardState]:
        """One guarded step.

        **Arguments:** `grads`, handed to the optimizer; `state`; `params`; `value`, one loss, or
        m losses; `grad`, the gradient of the loss at `params`, or the m gradients stacked along
        the leading axis of every leaf, or `Gradients`, by default
        `grads`; `value_fn`, gives `value` for any
        parameters.

        **Returns:** the update to add to the parameters, and the new state.

        **Raises:** `ValueError` without `params`, `value` or `value_fn`, or if `value` is neither
        a number nor a vector.
        """
        if params is None or value is None or value_fn is None:
            raise ValueError(
                "A guarded optimizer needs params, value= and value_fn= at every step."
            )
        if jnp.ndim(value) > 1:
            raise ValueError(f"value is one loss or m losses, got shape {jnp.shape(value)}.")
        learned, inner = self.optimizer.update(
            grads, state.optimizer, params, value=value, grad=grad, value_fn=value_fn, **extra
        )
        jacobian = as_jacobian(grads if grad is None else grad)
        if jnp.ndim(value) == 0:
            jacobian = jax.tree.map(lambda leaf: leaf[None], jacobian)

        def losses(params: PyTree) -> Float[Array, " m"]:
            return jnp.atleast_1d(value_fn(params))

        point = Point.at(params, jnp.atleast_1d(value), jacobian, losses)
        decision, fallback = decide(
            self.rule, self.fallback, point, learned, state.rule, state.fallback
        )
        return decision.update, GuardState(
            inner,
            decision.state,
            fallback,
            decision.accepted,
            point.descent.criticality.astype(state.criticality.dtype),
        )


def guard(
    optimizer: LearnedOptimizer | optax.GradientTransformation,
    rule: GuardRule | None = None,
    *,
    fallback: Fallback | None = None,
) -> Guarded:
    """Makes any optimizer converge to Pareto-critical points, whatever it does.

    Every update is put to a test. One that fails is replaced by a step of steepest common
    descent. With the default rule no objective ever rises and, for losses with Lipschitz
    gradients of which one is bounded below, omega goes to zero; `docs/multiobjective.md` has the
    proof. That is for losses which are the same at every step: with minibatches a step is tested
    on its own minibatch and nothing is promised about the others (`guard_at_intervals`).

    It takes Optax's extra arguments `value`, `grad` and `value_fn`, as line searches do: m losses
    with m gradients stacked along the leading axis of every leaf, or one loss with its gradient.
    `l2o.unroll` hands them on; for several tasks at once use `l2o.optimizers.per_task`.

    **Arguments:** `optimizer`, learned or from Optax, whose `update` turns the same gradients
    into an update of the parameters (from Optax, `optax.chain(aggregate(upgrad), ...)`); `rule`,
    by default `SufficientDecrease()`; `fallback`, by default `Fallback()`.

    **Returns:** a learned optimizer; `l2o.as_optax` makes it an Optax transformation.

    **Raises:** `ValueError` for arguments of another kind.

    ```pycon
    >>> mean = l2o.multiobjective.aggregate(l2o.multiobjective.mean)
    >>> guarded = l2o.guard(optax.chain(mean, optax.sgd(1e6)))  # alone it would diverge
    >>> task = l2o.multiobjective.problems.ProblemTask(l2o.multiobjective.problems.sch1())
    >>> losses = l2o.unroll(guarded, task, jax.random.key(0), 3).losses
    >>> bool(jnp.all(losses[1:] <= losses[:-1]))
    True
    ```
    """
    if isinstance(optimizer, optax.GradientTransformation):
        optimizer = from_optax(optimizer)
    rule = SufficientDecrease() if rule is None else rule
    fallback = Fallback() if fallback is None else fallback
    check_optimizer(optimizer)
    check_instance("rule", rule, GuardRule)
    check_instance("fallback", fallback, Fallback)
    return Guarded(
        optimizer,
        rule,
        fallback,
    )
