"""How an optimizer works: momentum, clipping, learning-rate schedule and adaptation."""

from l2o.mechanisms.dynamics import (
    Dynamics as Dynamics,
    coordinate_dynamics as coordinate_dynamics,
    dynamics_among_others as dynamics_among_others,
)
from l2o.mechanisms.precision import double_precision as double_precision
