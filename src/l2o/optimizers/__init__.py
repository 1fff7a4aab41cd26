"""Learned optimizers, one architecture a file, and hand-designed ones with search spaces."""

from l2o.optimizers.coordinatewise import (
    CoordinatewiseOptimizer as CoordinatewiseOptimizer,
    CoordinatewiseState as CoordinatewiseState,
    flatten as flatten,
    unflatten as unflatten,
)
from l2o.optimizers.hand_designed import (
    ALL_HAND_DESIGNED as ALL_HAND_DESIGNED,
    adagrad as adagrad,
    adam as adam,
    adamw as adamw,
    adan as adan,
    ademamix as ademamix,
    lion as lion,
    momentum as momentum,
    muon as muon,
    nadamw as nadamw,
    nesterov as nesterov,
    orthogonal_nadamw as orthogonal_nadamw,
    prodigy as prodigy,
    rmsprop as rmsprop,
    sam as sam,
    schedule_free_adamw as schedule_free_adamw,
    sgd as sgd,
)
from l2o.optimizers.hyperparameters import HandDesigned as HandDesigned
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
from l2o.optimizers.schedule_free import evaluation_params as evaluation_params
from l2o.optimizers.schedules import Schedule as Schedule
from l2o.optimizers.search_ranges import (
    LogUniform as LogUniform,
    OneMinusLogUniform as OneMinusLogUniform,
    SearchRange as SearchRange,
    Share as Share,
    Uniform as Uniform,
)
from l2o.optimizers.split_coordinates import (
    SplitCoordinates as SplitCoordinates,
    as_recurrent as as_recurrent,
)
