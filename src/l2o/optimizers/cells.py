"""Recurrent cells that every recurrent learned optimizer is built from."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.optimizers.layers import Layer, Record, Replay, Rows, fan_in_normal


class LSTM(Layer):
    """A long short-term memory cell (Hochreiter & Schmidhuber 1997, with a forget gate).

    With `[i, f, g, o] = weight @ [x, h] + bias`, the new state is `c' = sigmoid(f) c +
    sigmoid(i) tanh(g)` and `h' = sigmoid(o) tanh(c')`. The forget gate's bias starts at one.
    """

    weight: Float[Array, "gates inputs_and_hidden"]
    bias: Float[Array, " gates"]

    def __init__(self, num_inputs: int, hidden_size: int, *, key: PRNGKeyArray) -> None:
        self.weight = fan_in_normal(key, (4 * hidden_size, num_inputs + hidden_size))
        self.bias = jnp.zeros(4 * hidden_size).at[hidden_size : 2 * hidden_size].set(1.0)

    @property
    def hidden_size(self) -> int:
        """The number of units."""
        return self.bias.shape[0] // 4

    def _halved_gates(self) -> Float[Array, " gates"]:
        """Turns all four activations into one tanh: `sigmoid(z) = (1 + tanh(z / 2)) / 2`."""
        size = self.hidden_size
        return jnp.ones(4 * size, self.bias.dtype).at[: 2 * size].set(0.5).at[3 * size :].set(0.5)

    def init_state(
        self, count: int
    ) -> tuple[Float[Array, "hidden {count}"], Float[Array, "hidden {count}"]]:
        """Zeros for `h` and `c`."""
        # Two arrays, so that a state can be donated.
        return jnp.zeros((self.hidden_size, count)), jnp.zeros((self.hidden_size, count))

    def forward(
        self,
        inputs: Float[Array, "inputs coordinates"],
        state: tuple[Float[Array, "hidden coordinates"], Float[Array, "hidden coordinates"]],
    ) -> tuple[
        Float[Array, "hidden coordinates"],
        tuple[Float[Array, "hidden coordinates"], Float[Array, "hidden coordinates"]],
        Record,
    ]:
        """One step of the cell."""
        hidden, cell = state
        scale = self._halved_gates()
        joined = jnp.concatenate([inputs, hidden])
        gates = jnp.tanh((self.weight * scale[:, None]) @ joined + (self.bias * scale)[:, None])
        slope_i, slope_f, slope_g, slope_o = jnp.split(1 - gates**2, 4)
        i, f, g, o = jnp.split(gates, 4)
        i, f, o = (0.5 + 0.5 * gate for gate in (i, f, o))
        new_cell = f * cell + i * g
        squashed = jnp.tanh(new_cell)
        record = (
            Rows(joined),
            Rows(slope_i * (0.25 * g), slope_f * (0.25 * cell), slope_g * i),
            Rows(slope_o * (0.25 * squashed)),
            Rows(o * (1 - squashed**2)),
            Rows(f),
        )
        new_hidden = o * squashed
        return new_hidden, (new_hidden, new_cell), record

    def backward(
        self,
        replay: Replay,
        outputs: Float[Array, "hidden coordinates"],
        state: tuple[Float[Array, "hidden coordinates"], Float[Array, "hidden coordinates"]],
    ) -> tuple[
        "LSTM",
        Float[Array, "inputs coordinates"],
        tuple[Float[Array, "hidden coordinates"], Float[Array, "hidden coordinates"]],
    ]:
        """The transposed derivative of one step."""
        joined, to_cell, to_output, cell_slope, forget = replay
        size = self.hidden_size
        hidden = outputs + state[0]
        cell = state[1] + hidden * cell_slope
        # The gates that act on the memory, and the one that acts on the output.
        memory = (to_cell.reshape(3, size, -1) * cell).reshape(3 * size, -1)
        output = to_output * hidden
        joined_cotangent = self.weight[: 3 * size].T @ memory + self.weight[3 * size :].T @ output
        gradient = eqx.tree_at(
            lambda lstm: (lstm.weight, lstm.bias),
            self,
            (
                jnp.concatenate([memory @ joined.T, output @ joined.T]),
                jnp.concatenate([memory.sum(1), output.sum(1)]),
            ),
        )
        num_inputs = joined.shape[0] - size
        return (
            gradient,
            joined_cotangent[:num_inputs],
            (joined_cotangent[num_inputs:], cell * forget),
        )


class GRU(Layer):
    """A gated recurrent unit (Cho et al. 2014) with a learned initial state.

    `z, r = sigmoid(gate_weight @ [x, h] + gate_bias)`, `c = tanh(candidate_weight @ [x, r h] +
    candidate_bias)`, `h' = z h + (1 - z) c`: the reset gate acts before the product, and `z` near
    one keeps the old state, as in the public code of Maheswaranathan et al. 2021.
    """

    gate_weight: Float[Array, "gates inputs_and_hidden"]
    gate_bias: Float[Array, " gates"]
    candidate_weight: Float[Array, "hidden inputs_and_hidden"]
    candidate_bias: Float[Array, " hidden"]
    initial_state: Float[Array, " hidden"]

    def __init__(self, num_inputs: int, hidden_size: int, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key)
        joined_size = num_inputs + hidden_size
        # The public code draws input and recurrent weights alike, by the number of units.
        scale = jnp.sqrt(joined_size / hidden_size)
        self.gate_weight = scale * fan_in_normal(keys[0], (2 * hidden_size, joined_size))
        self.gate_bias = jnp.zeros(2 * hidden_size)
        self.candidate_weight = scale * fan_in_normal(keys[1], (hidden_size, joined_size))
        self.candidate_bias = jnp.zeros(hidden_size)
        self.initial_state = jnp.zeros(hidden_size)

    @property
    def hidden_size(self) -> int:
        """The number of units."""
        return self.initial_state.shape[0]

    def init_state(self, count: int) -> Float[Array, "hidden {count}"]:
        """The learned initial state for every coordinate."""
        return jnp.broadcast_to(self.initial_state[:, None], (self.hidden_size, count))

    def forward(
        self, inputs: Float[Array, "inputs coordinates"], state: Float[Array, "hidden coordinates"]
    ) -> tuple[Float[Array, "hidden coordinates"], Float[Array, "hidden coordinates"], Record]:
        """One step of the cell."""
        joined = jnp.concatenate([inputs, state])
        # `sigmoid(z) = (1 + tanh(z / 2)) / 2`: a tanh costs less than a logistic function.
        gates = jnp.tanh((0.5 * self.gate_weight) @ joined + (0.5 * self.gate_bias)[:, None])
        update, reset = (0.5 + 0.5 * gate for gate in jnp.split(gates, 2))
        reset_joined = jnp.concatenate([inputs, reset * state])
        candidate = jnp.tanh(self.candidate_weight @ reset_joined + self.candidate_bias[:, None])
        new_state = update * state + (1 - update) * candidate
        record = (
            Rows(joined),
            Rows(reset_joined),
            Rows(update * (1 - update) * (state - candidate)),
            Rows(reset * (1 - reset) * state),
            Rows((1 - update) * (1 - candidate**2)),
            Rows(update),
            Rows(reset),
        )
        return new_state, new_state, record

    def backward(
        self,
        replay: Replay,
        outputs: Float[Array, "hidden coordinates"],
        state: Float[Array, "hidden coordinates"],
    ) -> tuple["GRU", Float[Array, "inputs coordinates"], Float[Array, "hidden coordinates"]]:
        """The transposed derivative of one step."""
        joined, reset_joined, to_update, to_reset, to_candidate, update, reset = replay
        size = self.hidden_size
        num_inputs = joined.shape[0] - size
        hidden = outputs + state
        update_gate = to_update * hidden
        candidate = to_candidate * hidden
        reset_joined_cotangent = self.candidate_weight.T @ candidate
        through_reset = reset_joined_cotangent[num_inputs:]
        reset_gate = to_reset * through_reset
        joined_cotangent = (
            self.gate_weight[:size].T @ update_gate + self.gate_weight[size:].T @ reset_gate
        )
        gradient = eqx.tree_at(
            lambda gru: (
                gru.gate_weight,
                gru.gate_bias,
                gru.candidate_weight,
                gru.candidate_bias,
                gru.initial_state,
            ),
            self,
            (
                jnp.concatenate([update_gate @ joined.T, reset_gate @ joined.T]),
                jnp.concatenate([update_gate.sum(1), reset_gate.sum(1)]),
                candidate @ reset_joined.T,
                candidate.sum(1),
                jnp.zeros_like(self.initial_state),
            ),
        )
        inputs = reset_joined_cotangent[:num_inputs] + joined_cotangent[:num_inputs]
        old_state = hidden * update + through_reset * reset + joined_cotangent[num_inputs:]
        return gradient, inputs, old_state
