"""Estimators of meta-gradients."""

from l2o.metatraining.es import ES as ES
from l2o.metatraining.exact import Exact as Exact
from l2o.metatraining.first_order import FirstOrder as FirstOrder
from l2o.metatraining.forward_mode import ForwardMode as ForwardMode
from l2o.metatraining.gpes import GPES as GPES
from l2o.metatraining.nres import NRES as NRES
from l2o.metatraining.pes import PES as PES
