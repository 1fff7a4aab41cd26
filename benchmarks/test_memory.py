"""Memory of a meta-step, from the compiler's own account."""

import equinox as eqx
import jax
import jax.numpy as jnp
from bowls import Bowls

from l2o.inner_loop import InnerState
from l2o.metatraining import FirstOrder, MetaLoss, Window
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.objectives import MeanLoss
from l2o.optimizers import RNNProp
from l2o.tasks import TaskBatch

_KEY = jax.random.key(0)
_STEPS = 20
_COORDINATES = 65_536


def _numbers_per_coordinate_and_step(estimator):
    optimizer = RNNProp(key=_KEY)
    task = TaskBatch.draw(Bowls(_COORDINATES), _KEY, 1)
    params = task.init(_KEY)
    state = InnerState(params, optimizer.init(params))
    window = Window(task, _KEY, state, jnp.asarray(False), jnp.ones(1), jnp.asarray(0), _STEPS)
    arrays, rest = eqx.partition((optimizer, window), eqx.is_array)

    def program(arrays):
        optimizer, window = eqx.combine(arrays, rest)
        return eqx.filter(estimator(optimizer, MetaLoss(MeanLoss()), window), eqx.is_array)

    memory = jax.jit(program).lower(arrays).compile().memory_analysis()
    return memory.temp_size_in_bytes / 4 / (_COORDINATES * _STEPS)


def test_first_order_memory(compare, benchmark):
    ours = benchmark.pedantic(
        _numbers_per_coordinate_and_step, (FirstOrder().through_window,), rounds=1
    )

    def through_unroll(optimizer, meta_loss, window):
        return gradient_through_unroll(optimizer, meta_loss, window, first_order=True)

    plain = _numbers_per_coordinate_and_step(through_unroll)
    compare.note(
        "RNNProp, numbers stored per coordinate and step, first order",
        f"{ours:.1f}",
        "differentiating the unroll",
        f"{plain:.1f}",
        f"{plain / ours:.1f}",
        "<= 8",
    )
