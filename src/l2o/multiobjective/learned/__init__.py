"""Learned optimizers from the gradients of several objectives to an update."""

from l2o.multiobjective.learned.ml2o import ML2O as ML2O, ML2OState as ML2OState
from l2o.multiobjective.learned.plain_ml2o import (
    PlainML2O as PlainML2O,
    PlainML2OState as PlainML2OState,
)
