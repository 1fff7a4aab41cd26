"""What a guard makes of an update: its rule and its fallback at one point."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from l2o.multiobjective.guards.accept import Decision, GuardRule
from l2o.multiobjective.guards.fallback import Fallback
from l2o.multiobjective.guards.point import Point


def decide(
    rule: GuardRule,
    fallback: Fallback,
    point: Point,
    update: PyTree,
    rule_state: PyTree,
    first_step: Float[Array, ""],
) -> tuple[Decision, Float[Array, ""]]:
    """Asks the rule, which asks the fallback where it has to.

    **Arguments:** `rule`; `fallback`; `point`; `update`, to be judged there; `rule_state`;
    `first_step`, the step length with which the fallback's search begins.

    **Returns:** the decision, and the step length to begin with the next time.
    """
    next_first_step = [first_step]

    def fall_back(is_needed: Bool[Array, ""]) -> PyTree:
        update, found = fallback(point, first_step, is_needed)
        next_first_step[0] = jnp.asarray(found, first_step.dtype)
        return update

    return rule(point, update, fall_back, rule_state), next_first_step[0]
