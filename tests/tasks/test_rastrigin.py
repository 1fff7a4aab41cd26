import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from l2o.tasks import Rastrigin, RastriginFamily


@jax.jit
def classic_rastrigin(x):
    n = len(x)
    task = Rastrigin(np.sqrt(2) * jnp.eye(n), jnp.zeros(n), jnp.ones(n))
    return task.value_and_grad(x, None)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_classic_function_is_a_special_case(x):
    with jax.enable_x64(True):
        value, grad = classic_rastrigin(jnp.array(x))
    point = np.array(x)
    classic = 10 * 3 + (point**2 - 10 * np.cos(2 * np.pi * point)).sum()
    slope = 2 * point + 20 * np.pi * np.sin(2 * np.pi * point)
    np.testing.assert_allclose(value, classic, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(grad, slope, rtol=1e-9, atol=1e-9)


def test_loss_is_the_formula(key):
    task = RastriginFamily(4, 3.0).sample(key)
    x = np.asarray(task.init(key), np.float64)
    A, b, c = (np.asarray(array, np.float64) for array in (task.matrix, task.targets, task.ripples))
    expected = 0.5 * ((A @ x - b) ** 2).sum() - 3 * c @ np.cos(2 * np.pi * x) + 3 * 4
    assert float(task.loss(jnp.asarray(x, jnp.float32))) == pytest.approx(expected, rel=1e-5)


def test_deterministic_in_the_key(key):
    one, other = (RastriginFamily().sample(key) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.ripples, other.ripples)


def test_matrix_targets_and_ripples_differ(key):
    task = RastriginFamily().sample(key)
    assert not jnp.array_equal(task.targets, task.ripples)
    assert not jnp.array_equal(task.matrix[0], task.targets)


@pytest.mark.parametrize(("arguments", "name"), [((0,), "dimension"), ((2, -1.0), "amplitude")])
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"{name} must be (at|a finite number of at) least"):
        RastriginFamily(*arguments)


def test_a_negative_amplitude():
    with pytest.raises(ValueError, match="amplitude must be a finite number of at least 0"):
        Rastrigin(jnp.eye(2), jnp.zeros(2), jnp.ones(2), -1.0)
