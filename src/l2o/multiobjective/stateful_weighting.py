"""The protocol of a weighting that remembers earlier steps."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


class StatefulWeighting(eqx.Module):
    """A weighting with a state."""

    @abc.abstractmethod
    def init(self, num_objectives: int) -> PyTree:
        """The state before the first step."""

    @abc.abstractmethod
    def update(
        self,
        gramian: Float[Array, "m m"],
        state: PyTree,
        *,
        losses: Float[Array, " m"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, " m"], PyTree]:
        """One step.

        **Arguments:** `gramian`, of inner products of m gradients; `state`, from `init` or the
        last `update`; `losses`, for weightings that look at them; `key`, for random ones.

        **Returns:** m weights and the new state.
        """
