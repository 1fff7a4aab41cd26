"""Estimators of meta-gradients."""

from l2o.metatraining.exact import Exact as Exact
from l2o.metatraining.first_order import FirstOrder as FirstOrder
from l2o.metatraining.pes import PES as PES
