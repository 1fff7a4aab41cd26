"""Tuning baselines, comparing optimizers on fresh tasks, and how sure the comparison is."""

from l2o.evaluation.draw import (
    Draw as Draw,
    draw_tasks as draw_tasks,
    evaluation_key as evaluation_key,
    tuning_key as tuning_key,
)
from l2o.evaluation.evaluate import Evaluation as Evaluation, Runs as Runs, evaluate as evaluate
from l2o.evaluation.statistics import (
    PairedDifference as PairedDifference,
    Summary as Summary,
    paired_difference as paired_difference,
)
from l2o.evaluation.tune import Tuned as Tuned, tune as tune
