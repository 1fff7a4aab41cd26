"""Learned optimizers, one architecture a file, and hand-designed ones with search spaces."""

from l2o.optimizers.coordinatewise import (
    CoordinatewiseOptimizer as CoordinatewiseOptimizer,
    CoordinatewiseState as CoordinatewiseState,
    per_task as per_task,
)
from l2o.optimizers.learned_optimizer import (
    LearnedOptimizer as LearnedOptimizer,
    OptaxOptimizer as OptaxOptimizer,
    OptState as OptState,
    PerTask as PerTask,
    Updates as Updates,
    as_optax as as_optax,
    from_optax as from_optax,
)
