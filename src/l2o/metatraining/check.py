"""Checking a meta-training without running it."""

import inspect
from collections.abc import Sequence
from typing import Any

import jax

from l2o.metatraining._metatrain import metatrain
from l2o.metatraining.curriculum import Curriculum
from l2o.metatraining.part import Part
from l2o.metatraining.plan import Footprint, make_plan
from l2o.optimizers import LearnedOptimizer
from l2o.support.checks import check_instance
from l2o.tasks import TaskFamily


def check_metatraining(
    optimizer: LearnedOptimizer,
    family: TaskFamily | Sequence[Part],
    *,
    curriculum: Curriculum | None = None,
    **settings: Any,
) -> Footprint:
    """Makes sure that a meta-training can be run as it is asked for.

    Everything is checked that `metatrain` checks but for its folder, and all programs are traced
    with shapes alone, so that sizes beyond all memory do no harm. Nothing is compiled, run or
    written.

    **Arguments:**

    - `optimizer`; `family`, as for `metatrain`; their arrays may be `jax.ShapeDtypeStruct`, as
      `eqx.filter_eval_shape` gives them.
    - `curriculum`: that of `metatrain_on_curriculum`, if there is one.
    - `settings`: the other arguments of `metatrain`; `key` may be left out.

    **Returns:** the memory that it takes at the least.

    **Raises:** `ValueError` as `metatrain` does; `TypeError` for an argument that it does not have.

    ```pycon
    >>> footprint = l2o.metatraining.check_metatraining(
    ...     l2o.optimizers.RNNProp(hidden_size=2, key=jax.random.key(0)),
    ...     l2o.tasks.QuadraticFamily(dimension=2),
    ...     key=jax.random.key(1),
    ...     meta_steps=2,
    ...     num_tasks=2,
    ...     horizon=4,
    ...     truncation=2,
    ... )
    >>> footprint.state > 0
    True
    ```
    """
    if curriculum is not None:
        check_instance("curriculum", curriculum, Curriculum)
    settings = {"key": jax.random.key(0), **settings}
    if curriculum is None:
        horizons = [{}]
    else:
        horizons = [
            {"horizon": horizon, "validation_horizon": next_horizon}
            for horizon, next_horizon in curriculum.stages()
        ]
    plans = []
    for stage in horizons:
        call = inspect.signature(metatrain).bind(optimizer, family, **settings, **stage)
        call.apply_defaults()
        named = inspect.signature(make_plan).parameters
        plans.append(make_plan(**{name: call.arguments[name] for name in named}))
    # The last stage has the longest validation; meta-steps are the same in all.
    return plans[-1].check(optimizer)
