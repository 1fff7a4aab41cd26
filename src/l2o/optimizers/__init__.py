"""Learned optimizers, one architecture a file, and hand-designed ones with search spaces."""

from l2o.optimizers.coordinatewise import (
    CoordinatewiseOptimizer as CoordinatewiseOptimizer,
    CoordinatewiseState as CoordinatewiseState,
    flatten as flatten,
    unflatten as unflatten,
)
from l2o.optimizers.hand_designed import (
    ALL_HAND_DESIGNED as ALL_HAND_DESIGNED,
    HandDesigned as HandDesigned,
    LogUniform as LogUniform,
    OneMinusLogUniform as OneMinusLogUniform,
    SearchRange as SearchRange,
    Uniform as Uniform,
    adagrad as adagrad,
    adam as adam,
    adamw as adamw,
    adan as adan,
    lion as lion,
    momentum as momentum,
    nesterov as nesterov,
    rmsprop as rmsprop,
    sam as sam,
    sgd as sgd,
)
from l2o.optimizers.learned import *
from l2o.optimizers.learned_optimizer import (
    LearnedOptimizer as LearnedOptimizer,
    OptaxOptimizer as OptaxOptimizer,
    OptState as OptState,
    PerTask as PerTask,
    Updates as Updates,
    as_optax as as_optax,
    check_optimizer as check_optimizer,
    from_optax as from_optax,
    per_task as per_task,
)
from l2o.optimizers.recurrent import (
    RecurrentOptimizer as RecurrentOptimizer,
    RecurrentState as RecurrentState,
)
from l2o.optimizers.split_coordinates import (
    SplitCoordinates as SplitCoordinates,
    as_recurrent as as_recurrent,
)
