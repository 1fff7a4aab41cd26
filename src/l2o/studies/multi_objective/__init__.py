"""Learned optimizers for several objectives against aggregators, after Yang, Yang and Tang.

On test problems, where it is known what can be reached, and on networks with several tasks.
"""

from l2o.studies.multi_objective.experiment import (
    MULTI_OBJECTIVE as MULTI_OBJECTIVE,
    run_study as run_study,
)
from l2o.studies.multi_objective.profiles import MultiObjectiveStudy as MultiObjectiveStudy
