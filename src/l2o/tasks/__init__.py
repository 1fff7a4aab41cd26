"""What gets optimized."""

from l2o.tasks.task import (
    Batch as Batch,
    Params as Params,
    SingleTask as SingleTask,
    Task as Task,
    TaskFamily as TaskFamily,
)
from l2o.tasks.task_batch import TaskBatch as TaskBatch
