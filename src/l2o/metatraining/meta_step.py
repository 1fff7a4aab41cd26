"""One step of meta-training, as a pure function compiled for all devices."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, UInt32

from l2o.metatraining.meta_gradient import (
    InnerProblems,
    MetaGradient,
    MetaGradientEstimator,
    MetaLoss,
)
from l2o.optimizers import LearnedOptimizer


class PartStep(eqx.Module):
    """What is done for one family at every meta-step."""

    problems: InnerProblems
    meta_loss: MetaLoss
    estimator: MetaGradientEstimator
    number: UInt32[Array, ""] | None = None
    """Of one of several parts; sets their randomness apart."""

    def mesh(self, optimizer: LearnedOptimizer) -> Mesh:
        """The devices that the part runs on."""
        return self.estimator.mesh(optimizer, self.problems.num_tasks)

    def begin(self, optimizer: LearnedOptimizer, key: PRNGKeyArray) -> PyTree:
        """The estimator's state before the first meta-step."""
        return self.estimator.begin(optimizer, self.problems, self._own(key))

    def __call__(
        self,
        state: PyTree,
        optimizer: LearnedOptimizer,
        key: PRNGKeyArray,
        meta_step: Int[Array, ""],
    ) -> tuple[MetaGradient, PyTree]:
        """The part's meta-gradient, without its weight, and the estimator's new state."""
        key = self._own(jax.random.fold_in(key, meta_step))
        return self.estimator(optimizer, self.meta_loss, self.problems, state, key, meta_step)

    def give_up(self, state: PyTree, lost: Bool[Array, ""]) -> PyTree:
        """The estimator's state with inner problems to be drawn anew where they are lost."""
        return self.estimator.give_up(state, lost)

    def _own(self, key: PRNGKeyArray) -> PRNGKeyArray:
        return key if self.number is None else jax.random.fold_in(key, self.number)


class MetaState(eqx.Module):
    """All that meta-training carries from step to step, and all that a checkpoint holds.

    The order of the fields is that of the arrays in checkpoints.
    """

    optimizer: LearnedOptimizer
    meta_opt_state: PyTree
    meta_step: Int[Array, ""]
    num_skipped: Int[Array, ""]
    """How many meta-gradients were not applied, since they, or what the meta-optimizer made of
    them, were not finite."""
    key: PRNGKeyArray
    parts: tuple[PyTree, ...]
    """The estimator's state of each part."""
    best_optimizer: LearnedOptimizer
    best_score: Float[Array, ""]
    best_step: Int[Array, ""]

    def keep_best(self, score: Float[Array, ""]) -> "MetaState":
        """Remembers the present optimizer if none was better on validation."""
        better = score < self.best_score
        # Leaves that are no arrays, such as activation functions, are the same in both.
        present, others = eqx.partition((self.optimizer, score, self.meta_step), eqx.is_array)
        best = eqx.filter((self.best_optimizer, self.best_score, self.best_step), eqx.is_array)
        best = eqx.combine(jax.tree.map(partial(jnp.where, better), present, best), others)
        return eqx.tree_at(
            lambda state: (state.best_optimizer, state.best_score, state.best_step), self, best
        )


class StepMetrics(eqx.Module):
    """What one meta-step reports."""

    meta_loss: Float[Array, ""]
    """Regularizers included; the imitation loss on a meta-step of imitation."""
    regularization: Float[Array, ""]
    """What regularizers add to it."""
    gradient_norm: Float[Array, ""]
    num_skipped: Int[Array, ""]
    parts: tuple[dict[str, Array], ...]
    """The meta-loss and the diagnostics of each part."""
    lost: tuple[Bool[Array, ""], ...]
    """Whose inner problems are to be given up."""


class Update(eqx.Module):
    """How the meta-parameters are updated; calling it does so."""

    meta_optimizer: optax.GradientTransformation = eqx.field(static=True)
    weights: tuple[Float[Array, ""], ...] | None = None
    """The factors of the parts' meta-losses and meta-gradients; `None` for a single one of 1."""

    def with_weights(self, weights: Sequence[float]) -> "Update":
        """The same with these factors."""
        # One that changes nothing would change how a compiler contracts products and sums.
        if list(weights) == [1.0]:
            return self
        return Update(self.meta_optimizer, tuple(jnp.asarray(weight) for weight in weights))

    def begin(self, optimizer: LearnedOptimizer, key: PRNGKeyArray) -> MetaState:
        """The state before the first meta-step, but for the parts' states."""
        meta_parameters = eqx.filter(optimizer, eqx.is_inexact_array)
        return MetaState(
            optimizer=optimizer,
            meta_opt_state=self.meta_optimizer.init(meta_parameters),
            meta_step=jnp.zeros((), jnp.int32),
            num_skipped=jnp.zeros((), jnp.int32),
            key=key,
            parts=(),
            best_optimizer=optimizer,
            best_score=jnp.full((), jnp.inf),
            best_step=jnp.zeros((), jnp.int32),
        )

    def __call__(
        self, state: MetaState, found: tuple[MetaGradient, ...]
    ) -> tuple[MetaState, StepMetrics]:
        """One update.

        **Arguments:** `state`; `found`, of each part.

        **Returns:** the new state, with the parts' states as they were, and what to report.
        """
        meta_loss, regularization, gradient = self._weighted(found)
        leaves = jax.tree.leaves(gradient)
        meta_parameters, structure = eqx.partition(state.optimizer, eqx.is_inexact_array)
        updates, meta_opt_state = self.meta_optimizer.update(
            gradient, state.meta_opt_state, meta_parameters
        )
        before = (meta_parameters, state.meta_opt_state)
        updated = (optax.apply_updates(meta_parameters, updates), meta_opt_state)
        # A finite but huge meta-gradient can leave an average of squares infinite forever.
        applied = _all_finite((meta_loss, leaves)) & _stays_finite(before, updated)
        # What is not finite is not applied, and the inner problems that made it are given up.
        meta_parameters, meta_opt_state = jax.tree.map(partial(jnp.where, applied), updated, before)
        num_skipped = state.num_skipped + jnp.where(applied, 0, 1)
        state = MetaState(
            optimizer=eqx.combine(meta_parameters, structure),
            meta_opt_state=meta_opt_state,
            meta_step=state.meta_step + 1,
            num_skipped=num_skipped,
            key=state.key,
            parts=state.parts,
            best_optimizer=state.best_optimizer,
            best_score=state.best_score,
            best_step=state.best_step,
        )
        return state, StepMetrics(
            meta_loss,
            regularization,
            optax.global_norm(leaves),
            num_skipped,
            tuple({"meta_loss": part.meta_loss} | part.diagnostics for part in found),
            _to_blame(found, ~applied),
        )

    def _weighted(self, found: tuple[MetaGradient, ...]) -> Any:
        """Meta-loss, regularization and meta-gradient, added up with the weights of parts."""
        terms = [(part.meta_loss, part.regularization, part.gradient) for part in found]
        if self.weights is None:
            return terms[0]
        weighted = [
            jax.tree.map(lambda leaf, weight=weight: weight.astype(leaf.dtype) * leaf, term)
            for weight, term in zip(self.weights, terms, strict=True)
        ]
        return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *weighted)


class MetaStep(eqx.Module):
    """The settings of a meta-step; calling it makes one."""

    parts: tuple[PartStep, ...]
    update: Update

    def __call__(self, state: MetaState) -> tuple[MetaState, StepMetrics]:
        """One meta-step, all of it in one program."""
        found, parts = zip(
            *(
                part(own, state.optimizer, state.key, state.meta_step)
                for part, own in zip(self.parts, state.parts, strict=True)
            ),
            strict=True,
        )
        state, metrics = self.update(state, found)
        given_up = tuple(
            part.give_up(own, lost)
            for part, own, lost in zip(self.parts, parts, metrics.lost, strict=True)
        )
        return eqx.tree_at(lambda state: state.parts, state, given_up), metrics


def _to_blame(found: tuple[MetaGradient, ...], skipped: Bool[Array, ""]) -> tuple[Array, ...]:
    """Whose inner problems led to an update that is skipped; if nobody's did, everybody's."""
    if len(found) == 1:
        return (skipped,)
    is_sound = [_all_finite((part.meta_loss, part.gradient)) for part in found]
    spared = jnp.any(jnp.stack([~sound for sound in is_sound]))
    return tuple(skipped & ~(sound & spared) for sound in is_sound)


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def _stays_finite(before: PyTree, after: PyTree) -> Bool[Array, ""]:
    """Whether no number that was finite ceases to be.

    Some begin as infinite, such as the best value so far of a schedule that looks at values.
    """

    def stays(before: Array, after: Array) -> Bool[Array, ""]:
        return jnp.all(jnp.isfinite(after) | ~jnp.isfinite(before))

    def is_inexact(leaf: Any) -> bool:
        return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)

    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return jnp.all(jnp.stack([stays(*pair) for pair in pairs if is_inexact(pair[0])]))
