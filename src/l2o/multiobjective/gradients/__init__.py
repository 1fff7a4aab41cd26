"""The gradients of all objectives, stacked or not, behind one interface."""

from l2o.multiobjective.gradients.choice import gradients as gradients
from l2o.multiobjective.gradients.linearized import (
    LinearizedGradients as LinearizedGradients,
    linearized as linearized,
)
from l2o.multiobjective.gradients.protocol import Gradients as Gradients
from l2o.multiobjective.gradients.stacked import (
    StackedGradients as StackedGradients,
    stacked as stacked,
)
from l2o.multiobjective.gradients.trunk_split import trunk_split as trunk_split
