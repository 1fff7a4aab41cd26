"""Closed-form optimizers that stand for learned ones."""

from l2o.mechanisms.distillation._distill import (
    Ablation as Ablation,
    Alternative as Alternative,
    Distilled as Distilled,
    distill as distill,
)
from l2o.mechanisms.distillation._formula import describe as describe, formula as formula
from l2o.mechanisms.distillation.adaptation import Adaptation as Adaptation
from l2o.mechanisms.distillation.momentum import Momentum as Momentum
from l2o.mechanisms.distillation.optimizer import (
    DistilledOptimizer as DistilledOptimizer,
    DistilledState as DistilledState,
)
from l2o.mechanisms.distillation.saturation import Saturation as Saturation
from l2o.mechanisms.distillation.schedule import Decay as Decay, WarmUp as WarmUp
from l2o.mechanisms.distillation.selection import Trial as Trial
from l2o.mechanisms.distillation.tunable import as_hand_designed as as_hand_designed
