"""Learned optimizers, one architecture a file, and hand-designed ones with search spaces."""

from l2o.optimizers.coordinatewise import (
    CoordinatewiseOptimizer as CoordinatewiseOptimizer,
)
from l2o.optimizers.coordinatewise import (
    CoordinatewiseState as CoordinatewiseState,
)
from l2o.optimizers.coordinatewise import (
    flatten as flatten,
)
from l2o.optimizers.coordinatewise import (
    per_task as per_task,
)
from l2o.optimizers.coordinatewise import (
    unflatten as unflatten,
)
from l2o.optimizers.dm import DM as DM
from l2o.optimizers.gru import GRU as GRU
from l2o.optimizers.hand_designed import (
    ALL_HAND_DESIGNED as ALL_HAND_DESIGNED,
)
from l2o.optimizers.hand_designed import (
    HandDesigned as HandDesigned,
)
from l2o.optimizers.hand_designed import (
    LogUniform as LogUniform,
)
from l2o.optimizers.hand_designed import (
    OneMinusLogUniform as OneMinusLogUniform,
)
from l2o.optimizers.hand_designed import (
    SearchRange as SearchRange,
)
from l2o.optimizers.hand_designed import (
    Uniform as Uniform,
)
from l2o.optimizers.hand_designed import (
    adagrad as adagrad,
)
from l2o.optimizers.hand_designed import (
    adam as adam,
)
from l2o.optimizers.hand_designed import (
    adamw as adamw,
)
from l2o.optimizers.hand_designed import (
    adan as adan,
)
from l2o.optimizers.hand_designed import (
    lion as lion,
)
from l2o.optimizers.hand_designed import (
    momentum as momentum,
)
from l2o.optimizers.hand_designed import (
    nesterov as nesterov,
)
from l2o.optimizers.hand_designed import (
    rmsprop as rmsprop,
)
from l2o.optimizers.hand_designed import (
    sgd as sgd,
)
from l2o.optimizers.learned_optimizer import (
    LearnedOptimizer as LearnedOptimizer,
)
from l2o.optimizers.learned_optimizer import (
    OptaxOptimizer as OptaxOptimizer,
)
from l2o.optimizers.learned_optimizer import (
    OptState as OptState,
)
from l2o.optimizers.learned_optimizer import (
    PerTask as PerTask,
)
from l2o.optimizers.learned_optimizer import (
    Updates as Updates,
)
from l2o.optimizers.learned_optimizer import (
    as_optax as as_optax,
)
from l2o.optimizers.learned_optimizer import (
    from_optax as from_optax,
)
from l2o.optimizers.recurrent import (
    RecurrentOptimizer as RecurrentOptimizer,
)
from l2o.optimizers.recurrent import (
    RecurrentState as RecurrentState,
)
from l2o.optimizers.rnnprop import RNNProp as RNNProp
