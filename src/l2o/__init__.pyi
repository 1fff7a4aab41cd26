# The public names, once: type checkers read them here, and so does `__init__.py` at run time.
from l2o import (
    composition as composition,
    deploy as deploy,
    evaluation as evaluation,
    flatness as flatness,
    inner_loop as inner_loop,
    mechanisms as mechanisms,
    metatraining as metatraining,
    multiobjective as multiobjective,
    objectives as objectives,
    optimizers as optimizers,
    report as report,
    runs as runs,
    tasks as tasks,
)
from l2o.deploy import load as load, save as save
from l2o.evaluation import evaluate as evaluate, tune as tune
from l2o.inner_loop import unroll as unroll
from l2o.metatraining import metatrain as metatrain
from l2o.multiobjective import guard as guard
from l2o.optimizers import (
    LearnedOptimizer as LearnedOptimizer,
    as_optax as as_optax,
    from_optax as from_optax,
)
from l2o.tasks import Task as Task, TaskBatch as TaskBatch, TaskFamily as TaskFamily

__version__: str
