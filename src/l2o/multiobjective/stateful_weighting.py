"""The protocol of a weighting that remembers earlier steps."""

import abc
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from l2o.gradients import AnyGramian, Gramian, as_gramian
from l2o.multiobjective.presence import keep_absent

Losses = Literal["any", "nonzero", "positive"]


class StatefulWeighting(eqx.Module):
    """A weighting with a state.

    An objective without a gradient or a loss in a step, as one without labels in a minibatch, or
    with one that is not finite or that the weighting cannot judge, is *absent*: it is left out of
    that step. Its weight is zero, what is remembered of it stays as it was, and the others are
    weighted as if it did not exist, up to a factor that they share (such as `1 / m`, of all m).
    So whatever happens in one step spoils no later one.
    """

    needs_losses: ClassVar[bool] = False
    """Whether losses have to be given."""
    needs_gradients: ClassVar[bool] = True
    """Whether a gradient that is zero makes an objective absent."""
    judges: ClassVar[Losses] = "any"
    """Of which losses, if they are given, an objective is present: all that are finite, those that
    are not zero besides, or only positive ones."""

    @abc.abstractmethod
    def init(self, num_objectives: int) -> PyTree:
        """The state before the first step.

        What is remembered of single objectives has a leading axis of that length.
        """

    @abc.abstractmethod
    def step(
        self,
        gramian: Gramian,
        state: PyTree,
        *,
        losses: Float[Array, " m"],
        present: Bool[Array, " m"],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, " m"], PyTree]:
        """One step of what is present.

        **Arguments:** `gramian`, in which absent gradients are zero; `state`; `losses`, 1 where
        they are absent; `present`, of m objectives; `key`, for random weightings.

        **Returns:** m weights and the new state, in which anything may stand for absent objectives
        but what makes derivatives infinite.
        """

    def update(
        self,
        gramian: AnyGramian,
        state: PyTree,
        *,
        losses: Float[Array, "..."] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], PyTree]:
        """One step.

        **Arguments:** `gramian`, of m gradients; `state`, from `init` or the last `update`;
        `losses`, for weightings that look at them; `key`, for random ones.

        **Returns:** m weights, zero for absent objectives, and the new state.

        **Raises:** `ValueError` if the Gramian is not a square matrix, losses are needed and not
        given, there are not m, or the state is that of another number of objectives.
        """
        gramian = as_gramian(gramian)
        m, name = len(gramian), type(self).__name__
        if losses is None and self.needs_losses:
            raise ValueError(f"{name} needs the losses: pass value= to the optimizer's update.")
        values = jnp.ones_like(gramian.norms) if losses is None else jnp.asarray(losses)
        if values.shape != (m,):
            raise ValueError(f"{name} needs {m} losses, got shape {values.shape}.")
        self._check_state(state, m)
        present = self._judged(values) & jnp.isfinite(gramian.norms)
        if self.needs_gradients:
            present &= gramian.norms > 0.0
        pairs = present[:, None] & present
        identity = jnp.eye(m, dtype=gramian.dtype)
        safe = Gramian(
            jnp.where(present, gramian.norms, 0.0),
            jnp.where(pairs, gramian.cosines, identity),
            jnp.where(pairs, gramian.remainder, 0.0),
            gramian.rounding,
        )
        values = jnp.where(present, values, 1.0)
        weights, new = self.step(safe, state, losses=values, present=present, key=key)
        return jnp.where(present, weights, 0.0), keep_absent(new, state, present)

    def _check_state(self, state: PyTree, num_objectives: int) -> None:
        shapes = [leaf.shape for leaf in jax.tree.leaves(state)]
        if all(shape[:1] in ((), (num_objectives,)) for shape in shapes):
            return
        expected = jax.eval_shape(lambda: self.init(num_objectives))
        if shapes != [leaf.shape for leaf in jax.tree.leaves(expected)]:
            raise ValueError(
                f"The state of {type(self).__name__} is not that of {num_objectives} objectives."
            )

    def _judged(self, losses: Float[Array, " m"]) -> Bool[Array, " m"]:
        is_finite = jnp.isfinite(losses)
        if self.judges == "positive":
            return is_finite & (losses > 0.0)
        return is_finite & (losses != 0.0) if self.judges == "nonzero" else is_finite
