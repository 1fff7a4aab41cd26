"""A gated recurrent unit that takes additional biases from other cells."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

_GATE_BIAS = 2.2


class BiasedGRU(eqx.Module):
    """A GRU whose gates and candidate are shifted by what a cell above it says.

    With extra biases x_r, x_u and x_c, `r = sigmoid(W_r [x, h] + b_r + x_r)`, `u` likewise,
    `c = tanh(W_c [x, r h] + b_c + x_c)` and `h' = u h + (1 - u) c`: `u` near one keeps the old
    state, and both gates begin there. The initial state is learned. Columns are coordinates,
    tensors or problems. Source: Wichrowska et al. 2017, section 3.2.1, in the form of Open-L2O's
    public code.
    """

    gate_weight: Float[Array, "gates inputs_and_hidden"]
    gate_bias: Float[Array, " gates"]
    candidate_weight: Float[Array, "hidden inputs_and_hidden"]
    candidate_bias: Float[Array, " hidden"]
    initial_state: Float[Array, " hidden"]

    def __init__(self, num_inputs: int, hidden_size: int, *, key: PRNGKeyArray) -> None:
        gate_key, candidate_key = jax.random.split(key)
        joined_size = num_inputs + hidden_size
        scale = 0.5 / jnp.sqrt(joined_size)
        self.gate_weight = scale * jax.random.normal(gate_key, (2 * hidden_size, joined_size))
        self.gate_bias = jnp.full(2 * hidden_size, _GATE_BIAS)
        self.candidate_weight = scale * jax.random.normal(candidate_key, (hidden_size, joined_size))
        self.candidate_bias = jnp.zeros(hidden_size)
        self.initial_state = jnp.zeros(hidden_size)

    @property
    def hidden_size(self) -> int:
        """The number of units."""
        return self.initial_state.shape[0]

    def init_state(self, count: int) -> Float[Array, "hidden {count}"]:
        """The learned initial state, in every column."""
        return jnp.broadcast_to(self.initial_state[:, None], (self.hidden_size, count))

    def __call__(
        self,
        inputs: Float[Array, "inputs columns"],
        state: Float[Array, "hidden columns"],
        extra: Float[Array, " biases #columns"] | None = None,
    ) -> Float[Array, "hidden columns"]:
        """One step.

        **Arguments:** `inputs`; `state`, before the step; `extra`, additional biases: of the reset
        gate, the update gate and the candidate, `hidden` rows each.

        **Returns:** the new state.
        """
        if extra is None:
            extra = jnp.zeros((3 * self.hidden_size, 1), state.dtype)
        gate_extra, candidate_extra = jnp.split(extra, [2 * self.hidden_size])
        joined = jnp.concatenate([inputs, state])
        gates = self.gate_weight @ joined + self.gate_bias[:, None] + gate_extra
        reset, update = jnp.split(jax.nn.sigmoid(gates), 2)
        reset_joined = jnp.concatenate([inputs, reset * state])
        candidate = jnp.tanh(
            self.candidate_weight @ reset_joined + self.candidate_bias[:, None] + candidate_extra
        )
        return update * state + (1 - update) * candidate
