"""Learned optimizers of tasks with one loss."""

from l2o.optimizers.dm import DM as DM
from l2o.optimizers.gru import GRU as GRU
from l2o.optimizers.hierarchical import Hierarchical as Hierarchical
from l2o.optimizers.rnnprop import RNNProp as RNNProp
