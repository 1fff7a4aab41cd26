# The public names: type checkers read them here, and so does `__init__.py` at run time.
from l2o.runs._compare import evaluate as evaluate, tune_baseline as tune_baseline
from l2o.runs._distill import distill as distill
from l2o.runs._explain import explain as explain
from l2o.runs._flatness import RunFlatness as RunFlatness, measure_flatness as measure_flatness
from l2o.runs._train import train as train
from l2o.runs.evaluation_settings import (
    EvaluationChanges as EvaluationChanges,
    EvaluationSettings as EvaluationSettings,
)
from l2o.runs.hand_designed import (
    HAND_DESIGNED as HAND_DESIGNED,
    SCHEDULES as SCHEDULES,
    check_hand_designed as check_hand_designed,
)
from l2o.runs.making import (
    find_hand_designed as find_hand_designed,
    make_family as make_family,
    make_optimizer as make_optimizer,
)
from l2o.runs.named import RECIPES as RECIPES, find_recipe as find_recipe
from l2o.runs.part_settings import PartSettings as PartSettings
from l2o.runs.progress import ComparisonProgress as ComparisonProgress
from l2o.runs.recipe import Recipe as Recipe
from l2o.runs.regularization import Regularization as Regularization
from l2o.runs.run_folder import (
    DistillationFolder as DistillationFolder,
    ExplanationFolder as ExplanationFolder,
    FlatnessFolder as FlatnessFolder,
    RunFolder as RunFolder,
    read_recipe as read_recipe,
    training_differences as training_differences,
)
from l2o.runs.runtime import num_cores as num_cores, set_up_jax as set_up_jax
from l2o.runs.subjects import check_subjects as check_subjects, read_settings as read_settings
from l2o.runs.training_settings import TrainingSettings as TrainingSettings
