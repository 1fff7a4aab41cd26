import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import filter_jit
from jax.test_util import check_grads
from scipy.special import expit
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from l2o.tasks import LogisticRegression, LogisticRegressionFamily


def test_loss_and_evaluation_are_the_formulas(key):
    task = LogisticRegression(l2_penalty=0.3)
    weight, _ = filter_jit(task.init)(key)
    params = (weight, jnp.array(0.7))

    def probabilities(split):
        inputs, labels = task.dataset.split(split)
        logits = np.asarray(inputs, np.float64) @ np.asarray(weight, np.float64) + 0.7
        return np.asarray(labels), expit(logits)

    labels, predicted = probabilities("train")
    expected = log_loss(labels, predicted) + 0.15 * float((weight**2).sum())
    assert float(filter_jit(task.loss)(params)) == pytest.approx(expected, rel=1e-5)
    labels, predicted = probabilities("test")
    metrics = filter_jit(task.evaluate)(params)
    assert float(metrics["test_loss"]) == pytest.approx(log_loss(labels, predicted), rel=1e-4)
    accuracy = accuracy_score(labels, predicted > 0.5)
    assert float(metrics["test_accuracy"]) == pytest.approx(accuracy)


def test_the_solution_of_scikit_learn_is_the_minimum():
    penalty = 0.01
    task = LogisticRegression(l2_penalty=penalty)
    inputs, labels = (np.asarray(x, np.float64) for x in task.dataset.split("train"))
    solver = SklearnLogisticRegression(C=1 / (penalty * len(labels)), tol=1e-10, max_iter=10_000)
    solver.fit(inputs, labels)
    with jax.enable_x64(True):
        params = jnp.asarray(solver.coef_[0]), jnp.asarray(solver.intercept_[0])
        grads = jax.grad(task.loss)(params)
    for leaf in jax.tree.leaves(grads):
        np.testing.assert_allclose(leaf, 0, atol=1e-6)


def test_gradients_agree_with_differences(key):
    with jax.enable_x64(True):
        task = LogisticRegressionFamily(10).sample(key)
        # The check hands over NumPy arrays.
        loss = jax.jit(lambda params: task.loss(jax.tree.map(jnp.asarray, params)))
        check_grads(loss, (filter_jit(task.init)(key),), order=2, modes=["rev"])


def test_start(key):
    weight, bias = LogisticRegressionFamily(2, 2000).sample(key).init(key)
    assert float(weight.std()) == pytest.approx(1 / np.sqrt(2000), rel=0.1)
    assert bias == 0


def test_random_clouds_are_balanced_and_shared_by_the_splits():
    task = LogisticRegressionFamily(4000, 2).sample(jax.random.key(1))
    clouds = []
    for split in ("train", "validation", "test"):
        inputs, labels = task.dataset.split(split)
        assert int(labels.sum()) == 2000
        for label in (0, 1):
            points = np.asarray(inputs)[np.asarray(labels) == label]
            clouds.append((label, points.mean(0), np.cov(points.T)))
    for label in (0, 1):
        means, covariances = zip(*[c[1:] for c in clouds if c[0] == label], strict=True)
        spread = np.sqrt(max(np.trace(c) for c in covariances))
        np.testing.assert_allclose(means[1:], [means[0]] * 2, atol=0.1 * spread)
        np.testing.assert_allclose(covariances[1:], [covariances[0]] * 2, atol=0.2 * spread**2)


def test_deterministic_in_the_key(key):
    one, other = (LogisticRegressionFamily().sample(key) for _ in range(2))
    assert jnp.array_equal(one.dataset.train_inputs, other.dataset.train_inputs)
    assert one.dataset.train_inputs.shape == (100, 3)


def test_validation_never_touches_test_data(key):
    family = LogisticRegressionFamily(judge_on="validation")
    task = family.sample(key)
    assert set(filter_jit(task.evaluate)(filter_jit(task.init)(key))) == {
        "validation_loss",
        "validation_accuracy",
    }


def test_bad_arguments(small_images):
    with pytest.raises(ValueError, match="two classes and vectors"):
        LogisticRegression(small_images)
    with pytest.raises(ValueError, match="l2_penalty must be a finite number of at least 0"):
        LogisticRegression(l2_penalty=-1.0)
    with pytest.raises(ValueError, match="num_points must be at least 2"):
        LogisticRegressionFamily(1)
    with pytest.raises(ValueError, match="dimension must be at least 1"):
        LogisticRegressionFamily(10, 0)
    with pytest.raises((ValueError, TypeError)):
        LogisticRegressionFamily(judge_on="train")
