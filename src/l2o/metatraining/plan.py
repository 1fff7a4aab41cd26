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
from l2o.metatraining.imitation import Imitating, Imitation
from l2o.metatraining.memory import available_memory, bytes_in_words, bytes_of, largest_array
from l2o.metatraining.meta_gradient import InnerProblems, MetaGradientEstimator, MetaLoss
from l2o.metatraining.meta_step import MetaState, MetaStep, PartStep, Update
from l2o.metatraining.part import Part, Settled, settled
from l2o.metatraining.programs import init, judge, programs_of
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.validation import Validation
from l2o.objectives import MeanLoss, Objective
from l2o.optimizers import LearnedOptimizer, check_optimizer
from l2o.support.canonical import canonical
from l2o.support.checks import check_instance, check_number, check_size
from l2o.support.keys import check_key
from l2o.tasks import TaskFamily

# The first part's number, apart from all else that is drawn with the same key.
_FIRST = 2**31


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


@dataclass(frozen=True)
class Plan:
    """A meta-training's programs, as values that they are compiled for."""

    meta_step: MetaStep
    validations: tuple[Validation, ...]
    """Of each part."""
    key: PRNGKeyArray
    """All randomness but that of validation."""
    parts: tuple[Settled, ...]

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
            *(largest_array(*program) for program in programs_of(self.meta_step, state)),
            *(largest_array(judge, each, state.optimizer) for each in self.validations),
        )
        footprint = Footprint(state_bytes, largest)
        footprint.check()
        return footprint

    def weights(self) -> tuple[float, ...]:
        """The factors of the parts' meta-losses: their shares, by the unit of each.

        **Raises:** `ValueError` for a part that is to be normalised and whose losses begin at
        zero, at what is not finite, or at what makes a factor that single precision does not have.
        """
        return tuple(
            part.factor(validation)
            for part, validation in zip(self.parts, self.validations, strict=True)
        )


def make_plan(
    optimizer: LearnedOptimizer,
    family: TaskFamily | Sequence[Part],
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
    sizes = {
        "meta_steps": meta_steps,
        "num_tasks": num_tasks,
        "horizon": horizon,
        "truncation": truncation,
        "validation_horizon": horizon if validation_horizon is None else validation_horizon,
        "validation_every": validation_every,
        "validation_tasks": validation_tasks,
        "checkpoint_every": checkpoint_every,
    }
    for name, size in sizes.items():
        check_size(name, size)
    _check_optimizer(optimizer)
    check_instance("objective", objective, Objective)
    check_number("objective_weight", objective_weight, least=0)
    check_instance("regularizers", regularizers, Sequence)
    for regularizer in regularizers:
        check_instance("Each of the regularizers", regularizer, Regularizer)
    check_instance("estimator", estimator, MetaGradientEstimator)
    check_instance("meta_optimizer", meta_optimizer, optax.GradientTransformation)
    if imitation is not None:
        check_instance("imitation", imitation, Imitation)
        estimator = Imitating(imitation, estimator)
    check_key(key)
    parts = settled(
        family,
        num_tasks=num_tasks,
        horizon=horizon,
        truncation=truncation,
        validation_family=validation_family,
        validation_horizon=validation_horizon,
        objective=objective,
    )
    train_key, validation_key = jax.random.split(key)
    meta_loss = MetaLoss(
        canonical(objective), tuple(canonical(each) for each in regularizers), objective_weight
    )
    estimator = canonical(estimator)
    # A single part has no number, so that its randomness is what it was before there were parts.
    numbers = [None] if len(parts) == 1 else [_FIRST + n for n in range(len(parts))]
    meta_step = MetaStep(
        parts=tuple(
            PartStep(
                problems=InnerProblems(
                    family=canonical(part.family),
                    num_tasks=part.num_tasks,
                    num_windows=part.horizon // part.truncation,
                    truncation=part.truncation,
                ),
                meta_loss=meta_loss,
                estimator=estimator,
                number=None if number is None else jnp.asarray(number, jnp.uint32),
            )
            for part, number in zip(parts, numbers, strict=True)
        ),
        update=Update(canonical(meta_optimizer)),
    )
    validations = tuple(
        Validation(
            family=canonical(part.validation_family),
            meta_loss=meta_loss,
            meta_step=jnp.asarray(meta_steps - 1),
            key=validation_key if number is None else jax.random.fold_in(validation_key, number),
            num_tasks=validation_tasks,
            horizon=part.validation_horizon,
            mesh=device_mesh(validation_tasks),
        )
        for part, number in zip(parts, numbers, strict=True)
    )
    return Plan(meta_step, validations, train_key, parts)


def _check_optimizer(optimizer: Any) -> None:
    check_optimizer(optimizer)
    leaves = jax.tree.leaves(optimizer)
    if not any(jnp.issubdtype(getattr(leaf, "dtype", bool), jnp.inexact) for leaf in leaves):
        raise ValueError(
            "Only an optimizer with meta-parameters can be meta-trained, and "
            f"{type(optimizer).__name__} has none."
        )
