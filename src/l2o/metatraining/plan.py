"""What a meta-training computes, put together and checked before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from l2o.metatraining.devices import device_mesh
from l2o.metatraining.first_order import FirstOrder
from l2o.metatraining.imitation import Imitation
from l2o.metatraining.memory import available_memory, bytes_in_words, bytes_of, largest_array
from l2o.metatraining.meta_gradient import MetaGradientEstimator, MetaLoss
from l2o.metatraining.meta_step import MetaState, MetaStep
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.validation import Validation
from l2o.objectives import MeanLoss, Objective
from l2o.optimizers import LearnedOptimizer, check_optimizer
from l2o.support.canonical import canonical
from l2o.support.checks import check_instance, check_number, check_size
from l2o.support.keys import check_key
from l2o.tasks import TaskFamily, check_family

init = eqx.filter_jit(MetaStep.init)
"""The compiled `MetaStep.init`."""
advance = eqx.filter_jit(MetaStep.__call__, donate="all-except-first")
"""The compiled `MetaStep.__call__`, which uses up the state that it is given."""
keep_best = eqx.filter_jit(MetaStep.keep_best, donate="all-except-first")
"""The compiled `MetaStep.keep_best`, which uses up the state and the score that it is given."""
judge = eqx.filter_jit(Validation.__call__)
"""The compiled `Validation.__call__`."""


@dataclass(frozen=True)
class Footprint:
    """The memory that a meta-training takes at the least, in bytes."""

    state: int
    """Of what is carried from meta-step to meta-step: the optimizer, the best one so far, the
    meta-optimizer's state, and the inner problems with their optimizers' states."""
    largest_array: int
    """Of the largest array that a meta-step or a validation makes."""

    def check(self) -> None:
        """Makes sure that the default device has room for it.

        **Raises:** `ValueError` if it has not.
        """
        needed, available = max(self.state, self.largest_array), available_memory()
        if needed > available:
            raise ValueError(
                f"Meta-training needs {bytes_in_words(needed)} of memory at the least, of which "
                f"there are {bytes_in_words(available)}: take a smaller optimizer, smaller or "
                "fewer tasks, or fewer steps."
            )


class Plan(eqx.Module):
    """A meta-training's programs, as values that they are compiled for."""

    meta_step: MetaStep
    validation: Validation
    key: PRNGKeyArray
    """All randomness but that of validation."""

    def check(self, optimizer: LearnedOptimizer) -> Footprint:
        """Traces every program without running any.

        **Arguments:** `optimizer`, whose arrays may be `jax.ShapeDtypeStruct`.

        **Returns:** the memory that it takes at the least.

        **Raises:** `ValueError` if memory is not enough; whatever the tasks, the optimizer and
        the rest raise on shapes that do not fit.
        """
        state: MetaState = eqx.filter_eval_shape(init, self.meta_step, optimizer, self.key)
        state_bytes = bytes_of(state)
        # Said at once, since large programs take long to trace.
        Footprint(state_bytes, 0).check()
        largest = max(
            largest_array(advance, self.meta_step, state),
            largest_array(judge, self.validation, state.optimizer),
        )
        footprint = Footprint(state_bytes, largest)
        footprint.check()
        return footprint


def make_plan(
    optimizer: LearnedOptimizer,
    family: TaskFamily,
    *,
    key: PRNGKeyArray,
    meta_steps: int,
    num_tasks: int,
    horizon: int,
    truncation: int,
    objective: Objective | None,
    objective_weight: float,
    regularizers: Sequence[Regularizer],
    estimator: MetaGradientEstimator | None,
    meta_optimizer: optax.GradientTransformation | None,
    imitation: Imitation | None,
    validation_family: TaskFamily | None,
    validation_horizon: int | None,
    validation_every: int,
    validation_tasks: int,
    checkpoint_every: int,
) -> Plan:
    """Puts a meta-training together.

    **Arguments:** those of `l2o.metatrain`.

    **Raises:** `ValueError` for settings out of range or of a wrong kind.
    """
    objective = MeanLoss() if objective is None else objective
    estimator = FirstOrder() if estimator is None else estimator
    meta_optimizer = optax.adam(1e-3) if meta_optimizer is None else meta_optimizer
    validation_family = family if validation_family is None else validation_family
    validation_horizon = horizon if validation_horizon is None else validation_horizon
    _check_sizes(
        meta_steps=meta_steps,
        num_tasks=num_tasks,
        horizon=horizon,
        truncation=truncation,
        validation_horizon=validation_horizon,
        validation_every=validation_every,
        validation_tasks=validation_tasks,
        checkpoint_every=checkpoint_every,
    )
    if horizon % truncation:
        raise ValueError(f"truncation must divide horizon, got {truncation} and {horizon}.")
    _check_optimizer(optimizer)
    check_family(family)
    check_family(validation_family, "validation_family")
    check_instance("objective", objective, Objective)
    check_number("objective_weight", objective_weight, least=0)
    check_instance("regularizers", regularizers, Sequence)
    for regularizer in regularizers:
        check_instance("Each of the regularizers", regularizer, Regularizer)
    check_instance("estimator", estimator, MetaGradientEstimator)
    check_instance("meta_optimizer", meta_optimizer, optax.GradientTransformation)
    if imitation is not None:
        check_instance("imitation", imitation, Imitation)
    check_key(key)
    train_key, validation_key = jax.random.split(key)
    meta_loss = MetaLoss(
        canonical(objective), tuple(canonical(each) for each in regularizers), objective_weight
    )
    split_coordinates = estimator.can_split_coordinates(optimizer)
    meta_step = MetaStep(
        family=canonical(family),
        meta_loss=meta_loss,
        estimator=canonical(estimator),
        meta_optimizer=canonical(meta_optimizer),
        num_tasks=num_tasks,
        num_windows=horizon // truncation,
        truncation=truncation,
        mesh=device_mesh(num_tasks, split_coordinates=split_coordinates),
        imitation=canonical(imitation),
    )
    validation = Validation(
        family=canonical(validation_family),
        meta_loss=meta_loss,
        meta_step=jnp.asarray(meta_steps - 1),
        key=validation_key,
        num_tasks=validation_tasks,
        horizon=validation_horizon,
        mesh=device_mesh(validation_tasks),
    )
    return Plan(meta_step, validation, train_key)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        check_size(name, size)


def _check_optimizer(optimizer: Any) -> None:
    check_optimizer(optimizer)
    leaves = jax.tree.leaves(optimizer)
    if not any(jnp.issubdtype(getattr(leaf, "dtype", bool), jnp.inexact) for leaf in leaves):
        raise ValueError(
            "Only an optimizer with meta-parameters can be meta-trained, and "
            f"{type(optimizer).__name__} has none."
        )
