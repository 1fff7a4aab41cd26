"""Test problems whose Pareto-critical sets are known."""

from l2o.multiobjective.problems._fonseca import Fonseca as Fonseca, ff1 as ff1, fonseca as fonseca
from l2o.multiobjective.problems.cagrad_toy import CAGradToy as CAGradToy
from l2o.multiobjective.problems.dtlz import (
    DTLZ1 as DTLZ1,
    DTLZ2 as DTLZ2,
    DTLZ3 as DTLZ3,
    DTLZ4 as DTLZ4,
)
from l2o.multiobjective.problems.families import *
from l2o.multiobjective.problems.hil1 import Hil1 as Hil1
from l2o.multiobjective.problems.problem import Problem as Problem
from l2o.multiobjective.problems.problem_task import ProblemTask as ProblemTask
from l2o.multiobjective.problems.quadratics import (
    Quadratics as Quadratics,
    bk1 as bk1,
    jos1 as jos1,
    lov1 as lov1,
    mhhm2 as mhhm2,
    mop7 as mop7,
    random_quadratics as random_quadratics,
    sch1 as sch1,
    sp1 as sp1,
    zlt1 as zlt1,
)
from l2o.multiobjective.problems.slcdt import SLCDT1 as SLCDT1, SLCDT2 as SLCDT2
from l2o.multiobjective.problems.zdt import (
    ZDT1 as ZDT1,
    ZDT2 as ZDT2,
    ZDT3 as ZDT3,
    ZDT4 as ZDT4,
    ZDT6 as ZDT6,
)
