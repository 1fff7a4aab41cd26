"""Guards: what makes any optimizer, learned or not, descend on all objectives."""

from l2o.multiobjective.guards._guard import (
    Guarded as Guarded,
    GuardState as GuardState,
    guard as guard,
)
from l2o.multiobjective.guards.accept import (
    BestOfTwo as BestOfTwo,
    DirectionTest as DirectionTest,
    DualConeProjection as DualConeProjection,
    GuardRule as GuardRule,
    ResidualTest as ResidualTest,
    SufficientDecrease as SufficientDecrease,
)
from l2o.multiobjective.guards.fallback import (
    Fallback as Fallback,
    FallbackState as FallbackState,
)
from l2o.multiobjective.guards.periodic import (
    PeriodicallyGuarded as PeriodicallyGuarded,
    PeriodicGuardState as PeriodicGuardState,
    guard_at_intervals as guard_at_intervals,
)
