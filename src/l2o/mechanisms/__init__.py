"""How an optimizer works: momentum, clipping, learning-rate schedule and adaptation."""

from l2o.mechanisms._explain import explain as explain
from l2o.mechanisms._update_function import (
    Saturation as Saturation,
    UpdateFunction as UpdateFunction,
    update_function as update_function,
)
from l2o.mechanisms.adaptation import (
    AdaptationCurve as AdaptationCurve,
    adaptation_curve as adaptation_curve,
)
from l2o.mechanisms.clock import hold as hold, separate_clock as separate_clock
from l2o.mechanisms.distillation import (
    Distilled as Distilled,
    DistilledOptimizer as DistilledOptimizer,
    distill as distill,
)
from l2o.mechanisms.dynamics import (
    Dynamics as Dynamics,
    coordinate_dynamics as coordinate_dynamics,
    dynamics_among_others as dynamics_among_others,
)
from l2o.mechanisms.explanation import (
    Explanation as Explanation,
    Inapplicable as Inapplicable,
    LinearResponse as LinearResponse,
    StateSpace as StateSpace,
)
from l2o.mechanisms.findings import (
    Mechanisms as Mechanisms,
    Presence as Presence,
    find_mechanisms as find_mechanisms,
)
from l2o.mechanisms.fixed_points import (
    FixedPoints as FixedPoints,
    find_fixed_points as find_fixed_points,
)
from l2o.mechanisms.linearization import (
    Linearization as Linearization,
    linearize as linearize,
)
from l2o.mechanisms.momentum import (
    Mode as Mode,
    Momentum as Momentum,
    momentum_modes as momentum_modes,
    polyak_momentum as polyak_momentum,
)
from l2o.mechanisms.precision import double_precision as double_precision
from l2o.mechanisms.schedule import (
    CarryingMode as CarryingMode,
    Schedule as Schedule,
    autonomous_schedule as autonomous_schedule,
)
from l2o.mechanisms.state_space import (
    GradientRecord as GradientRecord,
    PrincipalComponents as PrincipalComponents,
    principal_components as principal_components,
    record_gradients as record_gradients,
    visited_states as visited_states,
)
