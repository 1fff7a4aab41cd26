import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import expected_sharpness, sharpness


def test_one_step_is_that_of_sam(small_network):
    loss, params, _ = small_network
    vector, unravel = jax.flatten_util.ravel_pytree(params)
    gradient = jax.flatten_util.ravel_pytree(jax.grad(loss)(params))[0]
    moved = unravel(vector + 0.1 * gradient / np.linalg.norm(gradient))
    expected = loss(moved) - loss(params)
    assert expected > 0
    np.testing.assert_allclose(sharpness(loss, params, radius=0.1), expected, rtol=1e-4)


def test_the_maximum_of_a_quadratic(quadratic, random_symmetric, key):
    matrix = random_symmetric(10) @ random_symmetric(10)
    loss = quadratic(matrix)
    # At the minimum the gradient is zero, and a random start is needed.
    assert sharpness(loss, jnp.zeros(10), radius=0.5, num_steps=3) == 0
    found = sharpness(loss, jnp.zeros(10), key, radius=0.5, num_steps=60)
    np.testing.assert_allclose(found, 0.125 * np.linalg.eigvalsh(matrix)[-1], rtol=1e-3)
    # A linear loss rises most along its gradient.
    linear = sharpness(quadratic(np.zeros((4, 4)), 3.0), jnp.zeros(4), radius=0.5, num_steps=2)
    np.testing.assert_allclose(linear, 0.5 * 6, rtol=1e-5)


def test_more_steps_never_find_less(small_network):
    loss, params, _ = small_network
    rises = [sharpness(loss, params, radius=0.5, num_steps=n) for n in (1, 2, 6)]
    assert rises[0] <= rises[1] * (1 + 1e-5)
    assert rises[1] <= rises[2] * (1 + 1e-5)


def test_the_ball_is_not_left(key):
    # The slope grows without bound outside.
    found = sharpness(lambda x: jnp.sum(x**4), jnp.zeros(3), key, radius=0.5, num_steps=20)
    np.testing.assert_allclose(found, 0.5**4, rtol=1e-3)


def test_the_expected_rise_of_a_quadratic(quadratic, random_symmetric, key):
    matrix = random_symmetric(10)
    loss = quadratic(matrix, linear=7.0)
    value, error = expected_sharpness(loss, jnp.ones(10), key, sigma=0.3, num_samples=400)
    # Linear terms cancel within a pair; the variance of z'Hz is 2 tr(H^2).
    np.testing.assert_allclose(error, 0.045 * np.sqrt(2 * np.sum(matrix**2) / 400), rtol=0.2)
    assert abs(value - 0.045 * np.trace(matrix)) < 4 * error


def test_what_is_asked_for_is_checked():
    with pytest.raises(ValueError, match="num_steps must be at least 1"):
        sharpness(jnp.sum, jnp.ones(3), num_steps=0)
