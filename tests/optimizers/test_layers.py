import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings, strategies as st

from l2o.optimizers.cells import GRU, LSTM
from l2o.optimizers.layers import Chain, Elementwise, Linear, Rows, Scale

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
LAYERS = {
    "linear": lambda inputs, units: Linear(inputs, units, key=KEY),
    "elementwise": lambda inputs, units: Elementwise("elu"),
    "scale": lambda inputs, units: Scale(-0.7),
    "lstm": lambda inputs, units: LSTM(inputs, units, key=KEY),
    "gru": lambda inputs, units: GRU(inputs, units, key=KEY),
    "chain": lambda inputs, units: Chain(
        (
            Linear(inputs, units, key=KEY),
            Elementwise("tanh"),
            LSTM(units, units + 1, key=KEY),
            GRU(units + 1, units, key=KEY),
            Linear(units, 1, key=KEY),
            Scale(0.3),
        )
    ),
}


def stored(record):
    """The record as `backward` gets it: the parts of every `Rows`, row under row."""
    return jax.tree.map(
        lambda rows: jnp.concatenate(rows.parts), record, is_leaf=lambda x: isinstance(x, Rows)
    )


@jax.jit
def both_derivatives(layer, inputs, state, cotangents):
    _, automatic = jax.vjp(lambda layer, *rest: layer(*rest), layer, inputs, state)
    _, _, record = layer.forward(inputs, state)
    return automatic(cotangents), layer.backward(stored(record), *cotangents)


@pytest.mark.parametrize("name", LAYERS)
# Shrinking a failing example would compile hundreds of shapes.
@settings(max_examples=3, phases=[Phase.explicit, Phase.generate])
@given(
    num_inputs=st.integers(1, 4),
    units=st.integers(1, 5),
    count=st.integers(1, 6),
    seed=st.integers(0, 2**31),
)
def test_backward_is_the_transposed_derivative_of_forward(
    name, random_like, assert_trees_close, num_inputs, units, count, seed
):
    with jax.enable_x64(True):
        layer = eqx.filter_eval_shape(LAYERS[name], num_inputs, units)
        inputs = jax.ShapeDtypeStruct((num_inputs, count), jnp.float64)
        state = eqx.filter_eval_shape(lambda layer: layer.init_state(count), layer)
        cotangents = eqx.filter_eval_shape(
            lambda *given: given[0](*given[1:]), layer, inputs, state
        )
        layer, inputs, state, cotangents = random_like((layer, inputs, state, cotangents), seed)
        automatic, by_hand = both_derivatives(layer, inputs, state, cotangents)
        assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(by_hand))
        assert_trees_close(by_hand, automatic, rtol=1e-10, atol=1e-12)


def test_a_linear_layer_by_hand():
    layer = Linear(2, 1, key=KEY)
    layer = jax.tree.unflatten(
        jax.tree.structure(layer), [jnp.array([[2.0, -1.0]]), jnp.array([0.5])]
    )
    outputs, state = layer(jnp.array([[1.0, 0.0], [3.0, 4.0]]), ())
    np.testing.assert_array_equal(outputs, [[-0.5, -3.5]])
    assert state == ()


@pytest.mark.parametrize(
    "layer", [Linear(100, 90, key=KEY), LSTM(60, 40, key=KEY)], ids=["linear", "lstm"]
)
def test_weights_begin_normal_with_variance_one_over_their_inputs(layer):
    np.testing.assert_allclose(np.std(layer.weight) * 10, 1, atol=0.05)
    assert np.abs(np.mean(layer.weight)) < 0.01


def test_the_lstm_begins_open_to_its_memory():
    layer = LSTM(2, 3, key=KEY)
    np.testing.assert_array_equal(layer.bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    for state in layer.init_state(4):
        np.testing.assert_array_equal(state, np.zeros((3, 4)))


def test_the_gru_begins_as_in_the_public_code():
    layer = GRU(1, 400, key=KEY)
    for weight in (layer.gate_weight, layer.candidate_weight):
        # Inputs and units alike: the variance is one over the number of units.
        np.testing.assert_allclose(np.std(weight) * 20, 1, atol=0.02)
        np.testing.assert_allclose(np.std(weight[:, 0]) * 20, 1, atol=0.15)
    for zeros in (layer.gate_bias, layer.candidate_bias, layer.initial_state):
        assert not np.any(zeros)


def test_the_gru_begins_at_its_learned_state(random_like):
    layer = random_like(GRU(1, 3, key=KEY))
    state = layer.init_state(2)
    np.testing.assert_array_equal(state[:, 0], layer.initial_state)
    np.testing.assert_array_equal(state[:, 1], layer.initial_state)
