"""What a guard makes of an update: its rule and its fallback at one point."""

from jaxtyping import Array, Bool, PyTree

from l2o.multiobjective.guards.accept import Decision, GuardRule
from l2o.multiobjective.guards.fallback import Fallback, FallbackState
from l2o.multiobjective.guards.point import Point


def decide(
    rule: GuardRule,
    fallback: Fallback,
    point: Point,
    update: PyTree,
    rule_state: PyTree,
    fallback_state: FallbackState,
) -> tuple[Decision, FallbackState]:
    """Asks the rule, which asks the fallback where it has to.

    **Arguments:** `rule`; `fallback`; `point`; `update`, to be judged there; `rule_state`;
    `fallback_state`.

    **Returns:** the decision, and the fallback's new state.
    """
    next_state = [fallback_state]

    def fall_back(is_needed: Bool[Array, ""]) -> PyTree:
        safe, next_state[0] = fallback(point, fallback_state, is_needed)
        return safe

    return rule(point, update, fall_back, rule_state), next_state[0]
