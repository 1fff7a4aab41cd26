import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.optimizers.features import Moments, adam_features, log1p_and_sign, log_and_sign


def test_logarithm_and_sign_by_hand():
    gradient = jnp.array([1.0, -1.0, np.exp(-5.0), -np.exp(-6.0), 0.0, 1e-9, 100.0])
    features = log_and_sign(gradient, 5.0)
    # Above exp(-5), the logarithm tells magnitudes apart; below it, the second feature does.
    logarithm = [0, 0, -1, -1, -1, -1, np.log(100) / 5]
    sign = [1, -1, 1, -np.exp(-1), 0, 1e-9 * np.exp(5), 1]
    np.testing.assert_allclose(features, [logarithm, sign], rtol=1e-5, atol=1e-6)


def test_logarithm_of_one_plus_the_magnitude_by_hand():
    features = log1p_and_sign(jnp.array([0.0, np.e - 1, -(np.e**2 - 1), 1e-8]))
    np.testing.assert_allclose(features, [[0, 1, 2, 1e-8], [0, 1, -1, 1]], rtol=1e-6)


def test_adam_features_by_hand():
    moments = Moments(jnp.zeros(2), jnp.zeros(2))
    features, moments = adam_features(jnp.array([3.0, 0.0]), moments, jnp.asarray(0), 0.95)
    # Corrected for their bias, the averages of one gradient are that gradient and its square.
    np.testing.assert_allclose(features, [[1, 0], [1, 0]], rtol=1e-5)
    np.testing.assert_allclose(moments.first, [0.15, 0], rtol=1e-5)
    np.testing.assert_allclose(moments.second, [0.45, 0], rtol=1e-5)
    features, moments = adam_features(jnp.array([-1.0, 2.0]), moments, jnp.asarray(1), 0.95)
    first = np.array([0.95 * 0.15 - 0.05, 0.1]) / (1 - 0.95**2)
    second = np.array([0.95 * 0.45 + 0.05, 0.2]) / (1 - 0.95**2)
    np.testing.assert_allclose(features, np.stack([first, [-1, 2]]) / np.sqrt(second), rtol=1e-5)


def test_a_tiny_gradient_is_as_good_as_a_large_one():
    moments = Moments(jnp.zeros(1), jnp.zeros(1))
    for scale in (1e-5, 1e5):
        features, _ = adam_features(jnp.array([scale]), moments, jnp.asarray(0), 0.95)
        np.testing.assert_allclose(features, [[1], [1]], rtol=2e-3)


def test_adam_features_recover_from_a_gradient_whose_square_overflows():
    moments = Moments(jnp.zeros(2), jnp.zeros(2))
    start = adam_features(jnp.array([1e20, -3e38]), moments, jnp.asarray(0), 0.9)
    np.testing.assert_allclose(start[0], [[1, -1], [1, -1]], rtol=1e-5)

    def step(moments, index):
        features, moments = adam_features(jnp.array([2.0, -3.0]), moments, index, 0.9)
        return moments, features

    _, features = jax.lax.scan(step, start[1], 1 + jnp.arange(2000))
    np.testing.assert_allclose(features[-1], [[1, -1], [1, -1]], rtol=1e-4)


def test_adam_features_have_derivatives_where_no_gradient_has_been():
    """Exact meta-gradients go through them, also for a pixel that is always dark."""
    moments = Moments(jnp.zeros(2), jnp.zeros(2))

    def total(gradient):
        features, _ = adam_features(gradient, moments, jnp.asarray(0), 0.95, offset=0.5)
        return jnp.sum(features)

    slope = jax.grad(total)(jnp.array([0.0, 2.0]))
    assert slope[0] == pytest.approx(2 / 0.5)
    assert slope[1] == pytest.approx(2 * 0.5 / 2.5**2)
