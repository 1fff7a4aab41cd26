"""Learned optimizers of tasks with several losses."""

from l2o.multiobjective.learned.ml2o import ML2O as ML2O
from l2o.multiobjective.learned.plain_ml2o import PlainML2O as PlainML2O
