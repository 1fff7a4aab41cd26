"""Whole experiments as settings that can be named, changed, saved and replayed.

The settings are plain data: importing them imports no JAX, so that the command line answers at
once. They build tasks, optimizers and the rest when asked to.
"""

from l2o.runs.compare import (
    ComparisonProgress as ComparisonProgress,
    compare as compare,
    tune_baseline as tune_baseline,
)
from l2o.runs.evaluation_settings import EvaluationSettings as EvaluationSettings
from l2o.runs.explanations import (
    check_subjects as check_subjects,
    explain_all as explain_all,
    is_run as is_run,
    read_settings as read_settings,
)
from l2o.runs.flatness_of_run import (
    RunFlatness as RunFlatness,
    flatness_of_run as flatness_of_run,
)
from l2o.runs.hand_designed import (
    HAND_DESIGNED as HAND_DESIGNED,
    check_hand_designed as check_hand_designed,
    find_hand_designed as find_hand_designed,
)
from l2o.runs.making import (
    make_family as make_family,
    make_optimizer as make_optimizer,
)
from l2o.runs.named import RECIPES as RECIPES, find_recipe as find_recipe
from l2o.runs.recipe import Recipe as Recipe
from l2o.runs.regularization import (
    Regularization as Regularization,
)
from l2o.runs.run_folder import (
    RunFolder as RunFolder,
    training_differences as training_differences,
)
from l2o.runs.runtime import num_cores as num_cores, set_up_jax as set_up_jax
from l2o.runs.train import train as train
from l2o.runs.training_settings import TrainingSettings as TrainingSettings
