"""The three recurrent optimizers against their formulas, written out in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy.special import expit as sigmoid

from l2o.optimizers import DM, GRU, RNNProp

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
NUM_STEPS = 6


def num_meta_parameters(make):
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter_eval_shape(make)))


def test_meta_parameter_counts():
    assert num_meta_parameters(lambda: DM(key=KEY)) == 5141
    assert num_meta_parameters(lambda: RNNProp(key=KEY)) == 6641


@pytest.mark.parametrize("units", [8, 256])
@pytest.mark.parametrize(("input_features", "num_inputs"), [("raw", 1), ("log", 2)])
def test_meta_parameter_count_of_the_gru(units, input_features, num_inputs):
    cell = 3 * units * (num_inputs + units + 1) + units
    count = num_meta_parameters(lambda: GRU(units, input_features, key=KEY))
    assert count == cell + units + 1


def lstm(layer, inputs, state):
    """Sonnet's LSTM, whose forget bias of one is part of ours."""
    hidden, cell = state
    i, g, f, o = (
        part @ np.concatenate([inputs, hidden]) + bias[:, None]
        for part, bias in (gate(layer, k) for k in (0, 2, 1, 3))
    )
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(cell)
    return hidden, (hidden, cell)


def gate(layer, number):
    size = layer.bias.shape[0] // 4
    rows = slice(number * size, (number + 1) * size)
    return layer.weight[rows], layer.bias[rows]


def zeros(layer, count):
    return np.zeros((layer.bias.shape[0] // 4, count)), np.zeros((layer.bias.shape[0] // 4, count))


def dm_updates(optimizer, gradients):
    first, second, readout, _ = optimizer.network.layers
    states = zeros(first, gradients.shape[1]), zeros(second, gradients.shape[1])
    for g in gradients:
        inputs = np.stack(
            [
                np.maximum(np.log(np.abs(g) + np.finfo(g.dtype).eps) / 5, -1),
                np.clip(g * np.exp(5), -1, 1),
            ]
        )
        hidden, one = lstm(first, inputs, states[0])
        hidden, two = lstm(second, hidden, states[1])
        states = one, two
        yield 0.01 * (readout.weight @ hidden + readout.bias[:, None])[0]


def rnnprop_updates(optimizer, gradients):
    dense, _, first, second, readout, _, _ = optimizer.network.layers
    states = zeros(first, gradients.shape[1]), zeros(second, gradients.shape[1])
    m = v = 0
    for t, g in enumerate(gradients, start=1):
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g**2
        root = np.sqrt(v / (1 - 0.95**t)) + 1e-8
        inputs = np.stack([m / (1 - 0.95**t) / root, g / root])
        hidden = dense.weight @ inputs + dense.bias[:, None]
        hidden = np.where(hidden > 0, hidden, np.exp(np.minimum(hidden, 0)) - 1)
        hidden, one = lstm(first, hidden, states[0])
        hidden, two = lstm(second, hidden, states[1])
        states = one, two
        yield 0.01 * np.tanh(readout.weight @ hidden + readout.bias[:, None])[0]


def gru_updates(optimizer, gradients):
    cell, readout, _ = optimizer.network.layers
    size = cell.initial_state.shape[0]
    h = np.tile(cell.initial_state[:, None], gradients.shape[1])
    for g in optimizer.input_scale * gradients:
        if optimizer.input_features == "raw":
            inputs = g[None]
        else:
            inputs = np.stack([np.log(1 + np.abs(g)), np.sign(g)])
        gates = cell.gate_weight @ np.concatenate([inputs, h]) + cell.gate_bias[:, None]
        z, r = sigmoid(gates[:size]), sigmoid(gates[size:])
        c = np.tanh(
            cell.candidate_weight @ np.concatenate([inputs, r * h]) + cell.candidate_bias[:, None]
        )
        h = z * h + (1 - z) * c
        yield optimizer.output_scale * (readout.weight @ h + readout.bias[:, None])[0]


RULES = {
    "dm": (lambda: DM(hidden_size=3, key=KEY), dm_updates),
    "rnnprop": (lambda: RNNProp(hidden_size=3, key=KEY), rnnprop_updates),
    "gru": (lambda: GRU(3, key=KEY), gru_updates),
    "gru, log": (lambda: GRU(3, "log", 0.7, 1.3, key=KEY), gru_updates),
}


@jax.jit
def all_updates(optimizer, gradients):
    def step(state, grads):
        updates, state = optimizer.update(grads, state)
        return state, updates

    first = jax.tree.map(lambda leaf: leaf[0], gradients)
    state, updates = jax.lax.scan(step, optimizer.init(first), gradients)
    return updates, state.step


@pytest.mark.parametrize("name", RULES)
def test_updates_over_several_steps(name, random_like):
    make, by_hand = RULES[name]
    with jax.enable_x64(True):
        optimizer = random_like(eqx.filter_eval_shape(make), scale=0.7)
        generator = np.random.default_rng(0)
        # Gradients of all magnitudes, and some that are zero.
        exponents = generator.uniform(-12, 3, (NUM_STEPS, 7))
        gradients = generator.choice([-1, 1], exponents.shape) * 10.0**exponents
        gradients[:, 0] = 0
        gradients[2, 1] = 0
        tree = {"matrix": gradients[:, :6].reshape(NUM_STEPS, 2, 3), "scalar": gradients[:, 6]}
        updates, count = all_updates(optimizer, jax.tree.map(jnp.asarray, tree))
        expected = np.stack(list(by_hand(jax.tree.map(np.asarray, optimizer), gradients)))
    assert count == NUM_STEPS
    assert updates["matrix"].shape == (NUM_STEPS, 2, 3)
    np.testing.assert_allclose(updates["matrix"].reshape(NUM_STEPS, 6), expected[:, :6], rtol=1e-10)
    np.testing.assert_allclose(updates["scalar"], expected[:, 6], rtol=1e-10)
    assert np.all(expected)


def test_the_gru_does_nothing_before_meta_training():
    updates, _ = all_updates(GRU(3, key=KEY), jnp.array([[1.0, -3.0], [1e6, 0.0]]))
    np.testing.assert_array_equal(updates, np.zeros((2, 2)))


def test_inputs_that_the_gru_does_not_know():
    # The second is what a type checker says that comes first, where there is one.
    with pytest.raises((ValueError, TypeCheckError), match="cooked"):
        GRU(3, "cooked", key=KEY)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda key: DM(5, 3.0, key=key),
        lambda key: RNNProp(5, 0.9, key=key),
        lambda key: GRU(5, "log", 0.5, 2.0, key=key),
    ],
    ids=["dm", "rnnprop", "gru"],
)
def test_an_optimizer_is_made_again_from_its_config(optimizer):
    def again():
        first = optimizer(KEY)
        return first, type(first)(**first.config(), key=KEY)

    first, second = eqx.filter_eval_shape(again)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert jax.tree.leaves(first) == jax.tree.leaves(second)
