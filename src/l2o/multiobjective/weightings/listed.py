"""Weightings of several losses, each with defaults for all that it can be told."""

from l2o.multiobjective.scalarizations import (
    cosmos as cosmos,
    geometric_mean as geometric_mean,
    pbi as pbi,
    stch as stch,
)
from l2o.multiobjective.weightings.aligned_mtl import aligned_mtl as aligned_mtl
from l2o.multiobjective.weightings.cagrad import cagrad as cagrad
from l2o.multiobjective.weightings.config import config as config
from l2o.multiobjective.weightings.cr_mogm import CRMOGM as CRMOGM
from l2o.multiobjective.weightings.db_mtl import db_mtl as db_mtl
from l2o.multiobjective.weightings.dualproj import dualproj as dualproj
from l2o.multiobjective.weightings.dwa import DWA as DWA
from l2o.multiobjective.weightings.excess_mtl import excess_mtl as excess_mtl
from l2o.multiobjective.weightings.fairgrad import fairgrad as fairgrad
from l2o.multiobjective.weightings.famo import FAMO as FAMO
from l2o.multiobjective.weightings.graddrop import graddrop as graddrop
from l2o.multiobjective.weightings.gradnorm import GradNorm as GradNorm
from l2o.multiobjective.weightings.gradvac import GradVac as GradVac
from l2o.multiobjective.weightings.imtl_g import imtl_g as imtl_g
from l2o.multiobjective.weightings.imtl_l import IMTLL as IMTLL
from l2o.multiobjective.weightings.initial_loss import InitialLoss as InitialLoss
from l2o.multiobjective.weightings.linear import mean as mean, sum_ as sum_
from l2o.multiobjective.weightings.mgda import (
    mgda as mgda,
    mgda_of_present as mgda_of_present,
)
from l2o.multiobjective.weightings.moco import moco as moco
from l2o.multiobjective.weightings.modo import MoDo as MoDo
from l2o.multiobjective.weightings.nash_mtl import nash_mtl as nash_mtl
from l2o.multiobjective.weightings.pcd import PCD as PCD
from l2o.multiobjective.weightings.pcgrad import pcgrad as pcgrad
from l2o.multiobjective.weightings.random_weighting import random_weighting as random_weighting
from l2o.multiobjective.weightings.sdmgrad import SDMGrad as SDMGrad
from l2o.multiobjective.weightings.uncertainty import (
    UncertaintyWeighting as UncertaintyWeighting,
)
from l2o.multiobjective.weightings.upgrad import upgrad as upgrad
