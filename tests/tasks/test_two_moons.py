import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import filter_jit
from hypothesis import given, settings, strategies as st
from jax.test_util import check_grads
from scipy.special import expit
from sklearn.datasets import make_moons
from sklearn.metrics import log_loss

from l2o.tasks import MLP, MLPFamily, TwoMoons, TwoMoonsFamily, datasets


def small():
    return TwoMoons(network=MLP((2, 3, 1), "tanh"))


def test_the_default_network(key):
    params = jax.eval_shape(TwoMoons().init, key)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 8_577


def test_loss_is_the_formula(key):
    task = small()
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), filter_jit(task.init)(key))
    (weight, bias), (output, output_bias) = params
    points, labels = make_moons(1024, noise=0.1, random_state=0)
    logits = (np.tanh(points @ weight + bias) @ output + output_bias)[:, 0]
    norm = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(params)))
    expected = log_loss(labels, expit(logits)) + 5e-3 * norm
    assert float(filter_jit(task.loss)(filter_jit(task.init)(key))) == pytest.approx(
        expected, rel=1e-5
    )


def test_gradients_agree_with_differences(key):
    with jax.enable_x64(True):
        task = TwoMoons(network=MLP((2, 3, 1), "tanh"), l2_penalty=0.5)
        # The check hands over NumPy arrays.
        loss = jax.jit(lambda params: task.loss(jax.tree.map(jnp.asarray, params)))
        check_grads(loss, (filter_jit(task.init)(key),), order=2, modes=["rev"])


def test_the_gradient_at_zero_is_that_of_the_logistic_loss():
    task = small()
    zeros = jax.tree.map(jnp.zeros_like, filter_jit(task.init)(jax.random.key(0)))
    value, grads = filter_jit(task.value_and_grad)(zeros, None)
    assert float(value) == pytest.approx(np.log(2))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    free = TwoMoons(network=task.network, l2_penalty=0.0)
    for x, y in zip(
        jax.tree.leaves(grads), jax.tree.leaves(jax.grad(free.loss)(zeros)), strict=True
    ):
        np.testing.assert_allclose(x, y, atol=1e-7)


@given(st.floats(0.1, 10))
@settings(max_examples=10, deadline=None)
def test_the_penalty_grows_in_proportion(factor):
    """The norm is not squared: scaling all parameters scales the penalty."""
    network = MLP((2, 3, 1), "tanh")
    params = filter_jit(network.init)(jax.random.key(0))

    def penalty(params):
        with_penalty, without = (TwoMoons(network=network, l2_penalty=p) for p in (1.0, 0.0))
        return with_penalty.loss(params) - without.loss(params)

    scaled = jax.tree.map(lambda x: factor * x, params)
    assert float(penalty(scaled)) == pytest.approx(factor * float(penalty(params)), rel=1e-3)


@pytest.mark.parametrize("judge_on", ["test", "validation"])
def test_evaluation(key, judge_on):
    task = TwoMoons(network=MLP((2, 3, 1), "tanh"), judge_on=judge_on)
    params = filter_jit(task.init)(key)
    inputs, labels = task.dataset.split(judge_on)
    logits = np.asarray(task.network(params, inputs), np.float64)[:, 0]
    metrics = filter_jit(task.evaluate)(params)
    assert set(metrics) == {f"{judge_on}_loss", f"{judge_on}_accuracy"}
    expected = log_loss(labels, expit(logits))
    assert float(metrics[f"{judge_on}_loss"]) == pytest.approx(expected, rel=1e-5)
    accuracy = ((logits > 0) == np.asarray(labels)).mean()
    assert float(metrics[f"{judge_on}_accuracy"]) == pytest.approx(accuracy)


def test_random_data_are_moons_with_noise(key):
    task = TwoMoonsFamily(random_data=True).sample(key)
    clean, labels = make_moons(1024, shuffle=False, noise=None)
    for split in ("train", "validation", "test"):
        points, split_labels = task.dataset.split(split)
        np.testing.assert_array_equal(split_labels, labels)
        noise = np.asarray(points) - clean
        assert abs(noise.std() - 0.1) < 5 * 0.1 / np.sqrt(2 * noise.size)
        assert abs(noise.mean()) < 5 * 0.1 / np.sqrt(noise.size)
    assert not jnp.array_equal(task.dataset.train_inputs, task.dataset.test_inputs)


def test_the_family_of_the_paper_shares_its_data(key):
    family = TwoMoonsFamily()
    task = family.sample(key)
    assert task.dataset.train_inputs is family.dataset.train_inputs
    assert task.network == MLP((2, 64, 64, 64, 1), "tanh")


def test_a_family_of_networks(key):
    family = TwoMoonsFamily(network=MLPFamily((2, 8, 1), ("tanh", "relu"), 2, 1.0))
    one, other = (family.sample(key) for _ in range(2))
    assert jnp.array_equal(one.network.unit_masks[0], other.network.unit_masks[0])
    assert jnp.isfinite(one.loss(one.init(key)))


def test_bad_arguments(key):
    with pytest.raises(ValueError, match="l2_penalty must be a finite number of at least 0"):
        TwoMoons(l2_penalty=-1.0)
    with pytest.raises((ValueError, TypeError)):
        TwoMoons(judge_on="train")
    with pytest.raises(ValueError, match="not both"):
        TwoMoonsFamily(datasets.two_moons(), random_data=True)
