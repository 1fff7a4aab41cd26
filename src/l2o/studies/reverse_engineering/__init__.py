"""The experiments of *Reverse engineering learned optimizers reveals known and novel mechanisms*.

Maheswaranathan, Sussillo, Metz, Sun and Sohl-Dickstein, NeurIPS 2021. Optimizers are meta-trained
on the paper's tasks, compared with tuned baselines and taken apart; figures 1 to 5 are drawn with
the paper's own numbers beside ours.
"""

from l2o.studies.reverse_engineering.profiles import Ranges as Ranges, TaskStudy as TaskStudy
from l2o.studies.reverse_engineering.study import STUDY as STUDY
