import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import filter_jit
from scipy.special import erf, expit
from sklearn.neural_network import MLPClassifier

from l2o.tasks import MLP, MLPFamily

REFERENCE = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": expit,
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * expit(x),
}


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((784, 20, 10), 15_910), ((784, 20, 20, 10), 16_330), ((2, 64, 64, 64, 1), 8_577)],
)
def test_parameter_counts(key, sizes, expected):
    assert count(jax.eval_shape(MLP(sizes).init, key)) == expected


@pytest.mark.parametrize("activation", list(REFERENCE))
def test_outputs_are_the_formula(key, activation):
    network = MLP((6, 5, 4, 3), activation, init_std=0.8)
    params = filter_jit(network.init)(key)
    inputs = jax.random.normal(key, (7, 2, 3))
    units = np.asarray(inputs, np.float64).reshape(7, 6)
    for index, (weight, bias) in enumerate(params):
        units = units @ np.asarray(weight, np.float64) + np.asarray(bias, np.float64)
        units = REFERENCE[activation](units) if index < 2 else units
    # JAX's gelu is the usual approximation with tanh.
    tolerance = 5e-3 if activation == "gelu" else 1e-5
    np.testing.assert_allclose(network(params, inputs), units, rtol=1e-4, atol=tolerance)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_agrees_with_scikit_learn(small_images):
    inputs, labels = small_images.split("train")
    flat = np.asarray(inputs).reshape(len(inputs), -1)
    reference = MLPClassifier((8,), activation="tanh", max_iter=30, random_state=0)
    reference.fit(flat, labels)
    params = tuple(
        (jnp.asarray(weight, jnp.float32), jnp.asarray(bias, jnp.float32))
        for weight, bias in zip(reference.coefs_, reference.intercepts_, strict=True)
    )
    logits = MLP((36, 8, 3), "tanh")(params, inputs)
    np.testing.assert_allclose(
        jax.nn.softmax(logits), reference.predict_proba(flat), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2), ("silu", 2), ("tanh", 1)])
def test_scaled_initialisation(key, activation, gain):
    (hidden, hidden_bias), (output, output_bias) = MLP((400, 300, 200), activation).init(key)
    assert float(hidden.std()) == pytest.approx(np.sqrt(gain / 400), rel=0.02)
    assert float(output.std()) == pytest.approx(np.sqrt(1 / 300), rel=0.02)
    assert not hidden_bias.any()
    assert not output_bias.any()


def test_initialisation_with_one_standard_deviation(key):
    for weight, bias in MLP((400, 900, 900), init_std=0.01).init(key):
        assert float(weight.std()) == pytest.approx(0.01, rel=0.05)
        assert float(bias.std()) == pytest.approx(0.01, rel=0.1)


def test_the_scale_of_initialisation_is_a_factor(key):
    plain, scaled = (MLP((4, 3, 2), "tanh", 0.1, None, scale) for scale in (None, jnp.array(3.0)))
    for x, y in zip(
        jax.tree.leaves(filter_jit(plain.init)(key)),
        jax.tree.leaves(filter_jit(scaled.init)(key)),
        strict=True,
    ):
        np.testing.assert_allclose(3 * x, y, rtol=1e-6)


def test_the_index_chooses_the_activation(key):
    inputs = jax.random.normal(key, (5, 4))
    names = ("relu", "tanh")
    for index, name in enumerate(names):
        chosen = MLP((4, 3, 2), names, None, jnp.array(index))
        params = filter_jit(chosen.init)(key)
        for x, y in zip(
            jax.tree.leaves(params), jax.tree.leaves(MLP((4, 3, 2), name).init(key)), strict=True
        ):
            np.testing.assert_allclose(x, y, rtol=1e-6)
        np.testing.assert_allclose(
            chosen(params, inputs), MLP((4, 3, 2), name)(params, inputs), rtol=1e-6
        )


def test_masked_units_are_not_there(key):
    """The network computes what the smaller network of the units that are there computes."""
    masks = (jnp.array([1.0, 1, 1, 0, 0]), jnp.array([1.0, 1, 0, 0]))
    network = MLP((6, 5, 4, 2), "sigmoid", unit_masks=masks)
    params = filter_jit(network.init)(key)
    small = tuple(
        (weight[:rows, :columns], bias[:columns])
        for (weight, bias), rows, columns in zip(params, (6, 3, 2), (3, 2, 2), strict=True)
    )
    inputs = jax.random.normal(key, (7, 6))
    np.testing.assert_allclose(
        network(params, inputs), MLP((6, 3, 2, 2), "sigmoid")(small, inputs), rtol=1e-5
    )
    grads = jax.jit(jax.grad(lambda params: (network(params, inputs) ** 2).sum()))(params)
    (first, first_bias), (second, second_bias), (third, _) = grads
    absent = (first[:, 3:], first_bias[3:], second[3:], second[:, 2:], second_bias[2:], third[2:])
    assert not any(x.any() for x in absent)
    present = (first[:, :3], second[:3, :2], third[:2])
    assert all(x.all() for x in present)


def test_masked_initialisation_counts_the_units_that_are_there(key):
    masks = (jnp.arange(800) < 200,)
    network = MLP((10, 800, 500), "tanh", unit_masks=tuple(m.astype(float) for m in masks))
    weight = filter_jit(network.init)(key)[1][0]
    assert float(weight.std()) == pytest.approx(np.sqrt(1 / 200), rel=0.02)


def test_without_hidden_layers_it_is_linear(key):
    network = MLP((3, 2))
    ((weight, bias),) = params = filter_jit(network.init)(key)
    inputs = jnp.ones((4, 3))
    np.testing.assert_allclose(network(params, inputs), inputs @ weight + bias)


def test_a_family_draws_all_it_should():
    family = MLPFamily((4, 10, 8, 2), ("relu", "tanh", "silu"), 3, 2.0)
    networks = jax.vmap(family.sample)(jax.random.split(jax.random.key(0), 2000))
    np.testing.assert_allclose(
        np.bincount(networks.activation_index) / 2000, 1 / 3, atol=5 * 0.47 / np.sqrt(2000)
    )
    logs = np.log(networks.init_scale)
    assert -2 <= logs.min() < -1.95
    assert 1.95 < logs.max() <= 2
    assert abs(logs.mean()) < 5 * 4 / np.sqrt(12 * 2000)
    for mask, size in zip(networks.unit_masks, (10, 8), strict=True):
        assert set(np.unique(mask)) == {0.0, 1.0}
        assert set(np.unique(mask.sum(1))) == set(range(3, size + 1))
        assert (np.diff(mask, axis=1) <= 0).all()
    assert not jnp.array_equal(*(mask.sum(1) for mask in networks.unit_masks))


def test_nothing_is_random_by_default(key):
    network = MLPFamily((4, 3, 2)).sample(key)
    assert not jax.tree.leaves(network)
    plain = MLP((4, 3, 2)).init(key)
    for x, y in zip(jax.tree.leaves(network.init(key)), jax.tree.leaves(plain), strict=True):
        assert jnp.array_equal(x, y)


def test_all_draws_have_one_structure():
    family = MLPFamily((4, 10, 2), ("relu", "tanh"), 1, 1.0)
    trees = [family.sample(jax.random.key(seed)) for seed in range(3)]
    assert len({jax.tree.structure(tree) for tree in trees}) == 1


def test_deterministic_in_the_key(key):
    family = MLPFamily((4, 10, 2), ("relu", "tanh"), 1, 1.0)
    for x, y in zip(*(jax.tree.leaves(family.sample(key)) for _ in range(2)), strict=True):
        assert jnp.array_equal(x, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4,),), "sizes must be at least 2"),
        (((4, 0, 2),), "size of every hidden layer must be at least 1"),
        (((4, 3, 2), ("relu", "tanh")), "need an activation_index"),
        (((4, 3, 2), "relu", None, None, None, (jnp.ones(4),)), "unit_masks must have the sizes"),
    ],
)
def test_bad_networks(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(*arguments)


def test_an_unknown_activation():
    with pytest.raises((ValueError, TypeError)):
        MLP((4, 2), "rleu")
    with pytest.raises((ValueError, TypeError)):
        MLPFamily((4, 2), ("rleu",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("relu",), 0), "min_width must be at least 1"),
        ((("relu",), 5), "at most the size of every hidden layer, 3, got 5"),
        ((("relu",), None, -1.0), "max_log_init_scale must be a finite number of at least 0"),
        (((),), "number of activations must be at least 1"),
    ],
)
def test_bad_families(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLPFamily((4, 3, 2), *arguments)
