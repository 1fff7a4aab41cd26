"""Many objectives: weightings for conflicting gradients, Pareto-criticality, guards, problems."""

from l2o.multiobjective import problems as problems
from l2o.multiobjective.aggregate import (
    AggregateState as AggregateState,
    aggregate as aggregate,
    aggregate_jacobian as aggregate_jacobian,
)
from l2o.multiobjective.aggregated import (
    ALL_AGGREGATED as ALL_AGGREGATED,
    aggregated as aggregated,
)
from l2o.multiobjective.box_criticality import box_criticality as box_criticality
from l2o.multiobjective.criticality import (
    CommonDescent as CommonDescent,
    common_descent as common_descent,
    criticality as criticality,
    relative_criticality as relative_criticality,
)
from l2o.multiobjective.fair_program import fairness_gap as fairness_gap
from l2o.multiobjective.gradients import (
    Gradients as Gradients,
    LinearizedGradients as LinearizedGradients,
    StackedGradients as StackedGradients,
    gradients as gradients,
    linearized as linearized,
    stacked as stacked,
    trunk_split as trunk_split,
)
from l2o.multiobjective.gramian import Gramian as Gramian
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
from l2o.multiobjective.jacobian import gramian as gramian
from l2o.multiobjective.learned import (
    ML2O as ML2O,
    ML2OState as ML2OState,
    PlainML2O as PlainML2O,
    PlainML2OState as PlainML2OState,
)
from l2o.multiobjective.scalarizations import (
    cosmos as cosmos,
    geometric_mean as geometric_mean,
    pbi as pbi,
    stch as stch,
)
from l2o.multiobjective.stateful_weighting import StatefulWeighting as StatefulWeighting
from l2o.multiobjective.weightings import (
    CRMOGM as CRMOGM,
    DWA as DWA,
    FAMO as FAMO,
    IMTLL as IMTLL,
    PCD as PCD,
    GradNorm as GradNorm,
    GradVac as GradVac,
    InitialLoss as InitialLoss,
    MoDo as MoDo,
    Scalarized as Scalarized,
    SDMGrad as SDMGrad,
    UncertaintyWeighting as UncertaintyWeighting,
    aligned_mtl as aligned_mtl,
    cagrad as cagrad,
    config as config,
    constant as constant,
    db_mtl as db_mtl,
    dualproj as dualproj,
    excess_mtl as excess_mtl,
    fairgrad as fairgrad,
    graddrop as graddrop,
    gradvac as gradvac,
    imtl_g as imtl_g,
    krum as krum,
    mean as mean,
    mgda as mgda,
    mgda_of_present as mgda_of_present,
    moco as moco,
    nash_mtl as nash_mtl,
    pcgrad as pcgrad,
    random_weighting as random_weighting,
    sum_ as sum_,
    trimmed_mean as trimmed_mean,
    upgrad as upgrad,
)
