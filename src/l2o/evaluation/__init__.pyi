# The public names: type checkers read them here, and so does `__init__.py` at run time.
from l2o.evaluation._evaluate import Evaluation as Evaluation, Runs as Runs, evaluate as evaluate
from l2o.evaluation._tune import Tuned as Tuned, tune as tune
from l2o.evaluation.divergence import diverged as diverged
from l2o.evaluation.draw import (
    Draw as Draw,
    draw_tasks as draw_tasks,
    evaluation_key as evaluation_key,
    tuning_key as tuning_key,
)
from l2o.evaluation.results import (
    metric_label as metric_label,
    metrics_of as metrics_of,
    results_table as results_table,
)
from l2o.evaluation.statistics import (
    MeanDifference as MeanDifference,
    PairedDifference as PairedDifference,
    Summary as Summary,
    finite_or_none as finite_or_none,
    paired_difference as paired_difference,
)
