"""Learned optimizers for several objectives against aggregators, after Yang, Yang and Tang.

On test problems, where it is known what can be reached, and on networks with several tasks.
"""

from l2o.studies.multi_objective.profiles import MultiObjectiveStudy as MultiObjectiveStudy
from l2o.studies.multi_objective.study import STUDY as STUDY
