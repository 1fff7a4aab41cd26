"""Learned optimizers of tasks with one loss."""

from l2o.optimizers.adafac_mlp import AdafacMLP as AdafacMLP
from l2o.optimizers.celo2 import Celo2 as Celo2
from l2o.optimizers.dm import DM as DM
from l2o.optimizers.gru import GRU as GRU
from l2o.optimizers.hierarchical import Hierarchical as Hierarchical
from l2o.optimizers.nominal_mlp import NominalMLP as NominalMLP
from l2o.optimizers.rnnprop import RNNProp as RNNProp
