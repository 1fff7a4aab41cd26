"""Whether learned optimizers can be taught to generalize, after Yang et al., AISTATS 2023.

Optimizers are meta-trained with and without terms for flatness and for held-out examples, and the
networks they train are judged by unseen data, beside tuned baselines.
"""

from l2o.studies.flatness.profiles import FlatnessStudy as FlatnessStudy
from l2o.studies.flatness.study import STUDY as STUDY
