import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import lstsq

from l2o.tasks import LeastSquares, LeastSquaresFamily


def test_loss_is_half_the_mean_squared_error(key):
    task = LeastSquaresFamily(7, 3).sample(key)
    start = task.init(key)
    errors = np.asarray(task.matrix) @ np.asarray(start) - np.asarray(task.targets)
    assert float(task.loss(start)) == pytest.approx((errors**2).mean() / 2, rel=1e-5)


@pytest.mark.parametrize("shape", [(20, 10), (5, 5), (3, 8)])
def test_the_minimiser(key, shape):
    with jax.enable_x64(True):
        task = LeastSquaresFamily(*shape).sample(key)
        np.testing.assert_allclose(jax.grad(task.loss)(task.minimizer), 0, atol=1e-9)
        expected = lstsq(np.asarray(task.matrix), np.asarray(task.targets))[0]
        np.testing.assert_allclose(task.minimizer, expected, rtol=1e-6)


def test_start_and_data_are_standard_normal(key):
    task = LeastSquaresFamily(300, 300).sample(key)
    for sample in (task.matrix, task.targets, task.init(key)):
        array = np.asarray(sample).ravel()
        assert abs(array.mean()) < 5 / np.sqrt(array.size)
        assert abs(array.std() - 1) < 5 / np.sqrt(2 * array.size)


def test_deterministic_in_the_key(key):
    one, other = (LeastSquaresFamily().sample(key) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.targets, other.targets)


def test_a_task_from_data():
    task = LeastSquares(jnp.eye(2), jnp.zeros(2))
    assert task.loss(jnp.ones(2)) == 0.5


@pytest.mark.parametrize(("arguments", "name"), [((0, 1), "num_rows"), ((1, 0), "dimension")])
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        LeastSquaresFamily(*arguments)
