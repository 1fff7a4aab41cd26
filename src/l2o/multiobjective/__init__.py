"""Many objectives: weightings for conflicting gradients, Pareto-criticality, guards, problems."""

from l2o.gradients import (
    Gradients as Gradients,
    Gramian as Gramian,
    LinearizedGradients as LinearizedGradients,
    StackedGradients as StackedGradients,
    TrunkSplitGradients as TrunkSplitGradients,
    as_jacobian as as_jacobian,
    gradients as gradients,
    gramian as gramian,
    linearized as linearized,
    stacked as stacked,
    trunk_split as trunk_split,
)
from l2o.multiobjective import problems as problems
from l2o.multiobjective._aggregate import (
    AggregateState as AggregateState,
    aggregate as aggregate,
    aggregate_jacobian as aggregate_jacobian,
)
from l2o.multiobjective._aggregated import aggregated as aggregated
from l2o.multiobjective._behind_weighting import (
    BehindWeighting as BehindWeighting,
    behind_weighting as behind_weighting,
)
from l2o.multiobjective._box_criticality import box_criticality as box_criticality
from l2o.multiobjective._criticality import (
    CommonDescent as CommonDescent,
    common_descent as common_descent,
    criticality as criticality,
    relative_criticality as relative_criticality,
)
from l2o.multiobjective.aggregators import (
    Weighting as Weighting,
    configured as configured,
    find_weighting as find_weighting,
    make_aggregator as make_aggregator,
)
from l2o.multiobjective.guards import (
    BestOfTwo as BestOfTwo,
    DirectionTest as DirectionTest,
    DualConeProjection as DualConeProjection,
    Fallback as Fallback,
    FallbackState as FallbackState,
    Guarded as Guarded,
    GuardRule as GuardRule,
    GuardState as GuardState,
    PeriodicallyGuarded as PeriodicallyGuarded,
    PeriodicGuardState as PeriodicGuardState,
    ResidualTest as ResidualTest,
    SufficientDecrease as SufficientDecrease,
    guard as guard,
    guard_at_intervals as guard_at_intervals,
)
from l2o.multiobjective.indicators import (
    hypervolume as hypervolume,
    igd as igd,
    non_dominated as non_dominated,
)
from l2o.multiobjective.learned import *
from l2o.multiobjective.learned.ml2o import ML2OState as ML2OState
from l2o.multiobjective.learned.plain_ml2o import PlainML2OState as PlainML2OState
from l2o.multiobjective.programs.fair_program import fairness_gap as fairness_gap
from l2o.multiobjective.stateful_weighting import StatefulWeighting as StatefulWeighting
from l2o.multiobjective.weightings.gradvac import gradvac as gradvac
from l2o.multiobjective.weightings.krum import krum as krum
from l2o.multiobjective.weightings.linear import constant as constant
from l2o.multiobjective.weightings.listed import *
from l2o.multiobjective.weightings.scalarized import Scalarized as Scalarized
from l2o.multiobjective.weightings.trimmed_mean import trimmed_mean as trimmed_mean
