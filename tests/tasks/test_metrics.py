import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import accuracy_score, log_loss

from l2o.tasks import metrics


def test_cross_entropy(key):
    logits = 3 * jax.random.normal(key, (50, 4))
    labels = jax.random.randint(key, (50,), 0, 4)
    expected = log_loss(labels, softmax(np.asarray(logits, np.float64), axis=1), labels=range(4))
    assert float(metrics.cross_entropy(logits, labels)) == pytest.approx(expected, rel=1e-5)


def test_binary_cross_entropy_and_metrics(key):
    logits = 3 * jax.random.normal(key, (50,))
    labels = jax.random.randint(key, (50,), 0, 2)
    expected = log_loss(labels, expit(np.asarray(logits, np.float64)))
    result = metrics.binary_metrics("test", logits, labels)
    assert float(result["test_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(metrics.binary_cross_entropy(logits, labels)) == float(result["test_loss"])
    assert float(result["test_accuracy"]) == pytest.approx(accuracy_score(labels, logits > 0))


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_large_logits_do_not_overflow(logit):
    loss = metrics.binary_cross_entropy(jnp.array([logit, logit]), jnp.array([0, 1]))
    assert float(loss) == 100.0


@pytest.mark.parametrize("rows_at_once", [7, 20, 1000])
def test_metrics_of_a_split_in_pieces(key, monkeypatch, rows_at_once):
    monkeypatch.setattr(metrics, "_ROWS_AT_ONCE", rows_at_once)
    inputs = jax.random.normal(key, (20, 3))
    labels = jax.random.randint(key, (20,), 0, 3)
    result = metrics.classification_metrics("validation", lambda x: 2 * x, inputs, labels)
    probabilities = softmax(2 * np.asarray(inputs, np.float64), axis=1)
    expected = log_loss(labels, probabilities, labels=range(3))
    assert set(result) == {"validation_loss", "validation_accuracy"}
    assert float(result["validation_loss"]) == pytest.approx(expected, rel=1e-5)
    accuracy = accuracy_score(labels, probabilities.argmax(1))
    assert float(result["validation_accuracy"]) == pytest.approx(accuracy)
