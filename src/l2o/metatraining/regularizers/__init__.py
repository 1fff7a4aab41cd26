"""Regularizers: terms of the meta-loss that look at the task where the trajectory passes."""

from l2o.metatraining.regularizers.expected_sharpness import (
    ExpectedSharpness as ExpectedSharpness,
)
from l2o.metatraining.regularizers.held_out_loss import HeldOutLoss as HeldOutLoss
from l2o.metatraining.regularizers.hessian_norm import HessianNorm as HessianNorm
from l2o.metatraining.regularizers.hessian_trace import HessianTrace as HessianTrace
from l2o.metatraining.regularizers.local_entropy import LocalEntropy as LocalEntropy
from l2o.metatraining.regularizers.sam_sharpness import SAMSharpness as SAMSharpness
