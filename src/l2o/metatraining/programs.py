"""The compiled programs of a meta-training.

Those of one family are one program a meta-step. Those of several are a program each, which parts of
one structure share, on as many devices as their numbers of tasks allow, and one for the update.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from l2o.metatraining.devices import replicate
from l2o.metatraining.meta_gradient import MetaGradient
from l2o.metatraining.meta_step import MetaState, MetaStep, PartStep, StepMetrics, Update
from l2o.metatraining.validation import Validation
from l2o.optimizers import LearnedOptimizer

judge = eqx.filter_jit(Validation.__call__)
"""The compiled `Validation.__call__`."""
initial_loss = eqx.filter_jit(Validation.initial_loss)
"""The compiled `Validation.initial_loss`."""

Given = tuple[PartStep, LearnedOptimizer, PRNGKeyArray, Int[Array, ""]]
"""A part, the optimizer, the key of the run and how many meta-steps came before."""


@partial(eqx.filter_jit, donate="all-except-first")
def differentiate(given: Given, state: PyTree) -> tuple[MetaGradient, PyTree]:
    """The compiled `PartStep.__call__`, which uses up the state that it is given."""
    part, optimizer, key, meta_step = given
    return part(state, optimizer, key, meta_step)


_begin_part = eqx.filter_jit(PartStep.begin)
_begin = eqx.filter_jit(Update.begin)
_advance = eqx.filter_jit(MetaStep.__call__, donate="all-except-first")
_update = eqx.filter_jit(Update.__call__, donate="all-except-first")
_give_up = eqx.filter_jit(PartStep.give_up, donate="all-except-first")
_keep_best = eqx.filter_jit(MetaState.keep_best, donate="all")


def init(meta_step: MetaStep, optimizer: LearnedOptimizer, key: PRNGKeyArray) -> MetaState:
    """The state before the first meta-step."""
    parts = tuple(
        _begin_part(part, *replicate((optimizer, key), part.mesh(optimizer)))
        for part in meta_step.parts
    )
    state = _begin(meta_step.update, *replicate((optimizer, key), home(meta_step, optimizer)))
    return replace(state, parts=parts)


def advance(meta_step: MetaStep, state: MetaState) -> tuple[MetaState, StepMetrics]:
    """One meta-step, which uses up the state that it is given."""
    if len(meta_step.parts) == 1:
        return _advance(meta_step, state)
    mesh = home(meta_step, state.optimizer)
    given = (state.optimizer, state.key, state.meta_step)
    found, parts = zip(
        *(
            differentiate((part, *replicate(given, part.mesh(state.optimizer))), own)
            for part, own in zip(meta_step.parts, state.parts, strict=True)
        ),
        strict=True,
    )
    without = replace(state, parts=())
    state, metrics = _update(meta_step.update, without, replicate(found, mesh))
    parts = tuple(
        _give_up(part, own, jnp.asarray(True)) if lost else own
        for part, own, lost in zip(meta_step.parts, parts, metrics.lost, strict=True)
    )
    return replace(state, parts=parts), metrics


def programs_of(meta_step: MetaStep, state: MetaState) -> list[tuple[Any, ...]]:
    """The large programs of `advance`, each with its arguments; arrays may be descriptions."""
    if len(meta_step.parts) == 1:
        return [(_advance, meta_step, state)]
    rest = (state.optimizer, state.key, state.meta_step)
    return [
        (differentiate, (part, *rest), own)
        for part, own in zip(meta_step.parts, state.parts, strict=True)
    ]


def keep_best(state: MetaState, score: float) -> MetaState:
    """The compiled `MetaState.keep_best`, which uses up the state that it is given."""
    placed = jax.device_put(jnp.asarray(score), state.best_score.sharding)
    return replace(_keep_best(replace(state, parts=()), placed), parts=state.parts)


def home(meta_step: MetaStep, optimizer: LearnedOptimizer) -> Mesh:
    """The devices that the meta-parameters are updated on."""
    return meta_step.parts[0].mesh(optimizer)
