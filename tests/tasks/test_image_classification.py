import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from equinox import filter_jit
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score, log_loss

from l2o.tasks import (
    MLP,
    ConvNet,
    Convolution,
    ImageClassification,
    TaskBatch,
    datasets,
    image_mlp,
    image_mlp_family,
)


def rows_of(dataset, split, inputs):
    """Which rows of a split the inputs are."""
    flat = np.asarray(dataset.split(split)[0]).reshape(-1, 36)
    return [int((flat == x).all(1).argmax()) for x in np.asarray(inputs).reshape(-1, 36)]


def test_the_network_fits_the_data_set(small_images, key):
    task = image_mlp(small_images, (5, 4), "tanh", init_std=0.01, batch_size=7)
    assert task.network == MLP((36, 5, 4, 3), "tanh", 0.01)
    inputs, labels = filter_jit(task.sample)(key)
    assert inputs.shape == (7, 6, 6, 1)
    assert labels.shape == (7,)


@pytest.mark.parametrize("split", ["train", "test"])
def test_minibatches_are_rows_of_their_split_with_their_labels(small_images, key, split):
    task = image_mlp(small_images, batch_size=200, split=split)
    inputs, labels = filter_jit(task.sample)(key)
    rows = rows_of(small_images, split, inputs)
    all_labels = small_images.split(split)[1]
    assert jnp.array_equal(labels, all_labels[jnp.array(rows)])
    # With replacement: 200 rows of 40 (or 30), all of which turn up.
    assert len(set(rows)) > 0.9 * len(all_labels)


def test_rows_are_drawn_uniformly(small_images):
    task = image_mlp(small_images, batch_size=1000)
    keys = jax.random.split(jax.random.key(0), 20)
    inputs, _ = jax.vmap(task.sample)(keys)
    counts = np.bincount(rows_of(small_images, "train", inputs), minlength=40)
    assert counts.min() > 500 - 5 * np.sqrt(500)
    assert counts.max() < 500 + 5 * np.sqrt(500)


@pytest.mark.parametrize("judge_on", ["test", "validation"])
def test_loss_and_evaluation_agree_with_scikit_learn(small_images, key, judge_on):
    task = image_mlp(small_images, (5,), "tanh", judge_on=judge_on)
    params = filter_jit(task.init)(key)
    inputs, labels = task.dataset.split(judge_on)
    (w1, b1), (w2, b2) = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    flat = np.asarray(inputs, np.float64).reshape(len(inputs), -1)
    probabilities = softmax(np.tanh(flat @ w1 + b1) @ w2 + b2, axis=1)
    expected = log_loss(labels, probabilities, labels=range(3))
    metrics = filter_jit(task.evaluate)(params)
    assert set(metrics) == {f"{judge_on}_loss", f"{judge_on}_accuracy"}
    assert float(metrics[f"{judge_on}_loss"]) == pytest.approx(expected, rel=1e-5)
    accuracy = accuracy_score(labels, probabilities.argmax(1))
    assert float(metrics[f"{judge_on}_accuracy"]) == pytest.approx(accuracy)
    assert float(filter_jit(task.loss)(params, (inputs, labels))) == pytest.approx(
        expected, rel=1e-5
    )


def test_any_network_will_do(small_images, key):
    network = ConvNet((6, 6, 1), (Convolution(2, 3, 1),), 3)
    task = ImageClassification(small_images, network, batch_size=4)
    assert jnp.isfinite(
        filter_jit(task.loss)(filter_jit(task.init)(key), filter_jit(task.sample)(key))
    )


def test_digits_can_be_learned(key):
    task = image_mlp(datasets.digits(), (32,), batch_size=64)
    optimizer = optax.adam(3e-3)
    params = filter_jit(task.init)(key)

    def step(carry, key):
        params, state = carry
        _, grads = task.value_and_grad(params, task.sample(key))
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(key, 400)
    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), keys)
    assert filter_jit(task.evaluate)(params)["test_accuracy"] > 0.93


def test_a_family_draws_networks(small_images, key):
    family = image_mlp_family(small_images, (5,), min_width=2, max_log_init_scale=1.0)
    one, other = (family.sample(key) for _ in range(2))
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert jnp.array_equal(x, y)
    different = family.sample(jax.random.key(1))
    assert one.network.init_scale != different.network.init_scale


def test_every_task_has_rows_of_its_own(small_images, key):
    family = image_mlp_family(small_images, (5,), num_train=6, batch_size=100)
    tasks = [family.sample(jax.random.key(seed)) for seed in range(3)]
    seen = []
    for task in tasks:
        assert len(set(task.train_rows.tolist())) == 6
        rows = set(rows_of(small_images, "train", filter_jit(task.sample)(key)[0]))
        assert rows == set(task.train_rows.tolist())
        seen.append(frozenset(rows))
    assert len(set(seen)) == 3


def test_a_batch_of_tasks_keeps_the_data_once(small_images, key):
    family = image_mlp_family(small_images, (5,), min_width=2, max_log_init_scale=1.0, num_train=9)
    batch = TaskBatch.draw(family, key, 3)
    for name in ("train", "validation", "test"):
        for mine, shared in zip(
            batch.task.dataset.split(name), small_images.split(name), strict=True
        ):
            assert mine is shared
    assert batch.task.network.init_scale.shape == (3,)
    assert batch.task.train_rows.shape == (3, 9)


def test_the_data_are_no_constants_of_a_compiled_draw(small_images, key):
    """Within `jit`, too, the data set is recognised and kept once."""
    family = image_mlp_family(small_images, (5,), max_log_init_scale=1.0)

    @jax.jit
    def shapes(family):
        return TaskBatch.draw(family, key, 3)

    assert shapes(family).task.dataset.train_inputs.shape == (40, 6, 6, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_train": 0}, "num_train must be at least 1"),
        ({"num_train": 41}, "ask for 41 of the 40 rows of 'small'"),
    ],
)
def test_bad_numbers(small_images, options, message):
    with pytest.raises(ValueError, match=message):
        image_mlp_family(small_images, **options)


def test_bad_task(small_images):
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        image_mlp(small_images, batch_size=0)
    with pytest.raises((ValueError, TypeError)):
        image_mlp(small_images, split="testing")
    with pytest.raises((ValueError, TypeError)):
        image_mlp(small_images, judge_on="train")


def test_weight_decay_and_label_smoothing_are_of_the_training_loss_alone(small_images, key):
    decay, smoothing = 0.3, 0.2
    options = {"num_train": 8, "batch_size": 8}
    family = image_mlp_family(small_images, (3,), ("tanh",), **options)
    options |= {"weight_decay": decay, "label_smoothing": smoothing}
    controlled = image_mlp_family(small_images, (3,), ("tanh",), **options)
    task, other = family.sample(key), controlled.sample(key)
    assert np.array_equal(task.train_rows, other.train_rows)
    params = task.init(key)
    inputs, labels = task.whole_batch()
    classes = small_images.num_classes
    shares = np.full((8, classes), smoothing / classes)
    shares[np.arange(8), np.asarray(labels)] += 1 - smoothing
    log_probabilities = log_softmax(np.asarray(task.network(params, inputs)), axis=1)
    expected = -np.mean(np.sum(shares * log_probabilities, axis=1))
    expected += decay / 2 * sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(params))
    np.testing.assert_allclose(other.loss(params, (inputs, labels)), expected, rtol=1e-5)
    judged, plainly = other.evaluate(params), task.evaluate(params)
    assert all(judged[name] == plainly[name] for name in plainly)
