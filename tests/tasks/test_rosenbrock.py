import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import rosen, rosen_der, rosen_hess

from l2o.tasks import Rosenbrock


@jax.jit
def derivatives(x):
    task = Rosenbrock(len(x))
    return *task.value_and_grad(x, None), jax.hessian(task.loss)(x)


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
@settings(max_examples=25, deadline=None)
def test_agrees_with_scipy(x):
    with jax.enable_x64(True):
        value, grad, hessian = derivatives(jnp.array(x))
    np.testing.assert_allclose(value, rosen(x), rtol=1e-9)
    np.testing.assert_allclose(grad, rosen_der(np.array(x)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hessian, rosen_hess(np.array(x)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dimension", [2, 5])
def test_the_minimum(dimension):
    task = Rosenbrock(dimension)
    value, grad = task.value_and_grad(task.minimizer, None)
    assert value == 0
    assert jnp.array_equal(grad, jnp.zeros(dimension))


def test_starts_fill_the_box_and_their_mean_loss():
    task = Rosenbrock()
    starts = jax.vmap(task.init)(jax.random.split(jax.random.key(0), 20_000))
    np.testing.assert_allclose(starts.min(0), [-2, -1], atol=0.01)
    np.testing.assert_allclose(starts.max(0), [2, 3], atol=0.01)
    losses = np.asarray(jax.vmap(task.loss)(starts), np.float64)
    # 100 E[(y - x^2)^2] + E[(1 - x)^2], with the moments of the uniform law.
    expected = 100 * (7 / 3 - 2 * 4 / 3 + 16 / 5) + 7 / 3
    assert expected == pytest.approx(289)
    assert abs(losses.mean() - expected) < 4 * losses.std() / np.sqrt(losses.size)


def test_deterministic_in_the_key(key):
    assert jnp.array_equal(Rosenbrock().init(key), Rosenbrock().init(key))


def test_too_few_dimensions():
    with pytest.raises(ValueError, match="dimension must be at least 2, got 1"):
        Rosenbrock(1)
