import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import trapezoid

from l2o.flatness import spectral_density


def integral(density, order=0):
    return trapezoid(density.density * density.grid**order, density.grid)


def test_exact_moments_of_a_diagonal_hessian(quadratic, key):
    values = np.linspace(-1, 3, 12)
    density = spectral_density(quadratic(np.diag(values)), jnp.ones(12), key, num_probes=2)
    np.testing.assert_allclose(integral(density), 1, rtol=1e-4)
    for order in (1, 2, 3):
        np.testing.assert_allclose(density.moment(order), np.mean(values**order), rtol=1e-4)
    np.testing.assert_allclose(integral(density, 1), np.mean(values), rtol=1e-3)
    # Each eigenvalue is a Gaussian of its own, with an equal share.
    width = 0.01 * 3
    kernels = np.exp(-(((density.grid[:, None] - values) / width) ** 2) / 2)
    expected = np.mean(kernels, 1) / (width * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(density.density, expected, atol=1e-2)


def test_the_moments_of_a_network(small_network, key):
    loss, params, dense = small_network
    density = jax.jit(lambda p, k: spectral_density(loss, p, k, num_probes=200, num_products=10))(
        params, key
    )
    np.testing.assert_allclose(integral(density), 1, rtol=1e-4)
    # A Gaussian adds its variance to the second moment.
    width = 0.01 * np.max(np.abs(density.nodes))
    np.testing.assert_allclose(integral(density, 1), density.moment(1), rtol=1e-3)
    np.testing.assert_allclose(integral(density, 2), density.moment(2) + width**2, rtol=1e-3)
    for order in (1, 2, 3):
        power = np.linalg.matrix_power(dense, order)
        off_diagonal = power - np.diag(np.diag(power))
        error = np.sqrt(2 * np.sum(off_diagonal**2) / 200) / len(dense)
        assert abs(density.moment(order) - np.trace(power) / len(dense)) < 4 * error


@pytest.mark.parametrize("value", [0.0, 2.0, -5.0])
def test_a_single_eigenvalue(quadratic, key, value):
    density = spectral_density(quadratic(value * np.eye(12)), jnp.ones(12), key)
    np.testing.assert_allclose(integral(density), 1, rtol=1e-4)
    peak = density.grid[np.argmax(density.density)]
    np.testing.assert_allclose(peak, value, atol=0.01 * max(1, abs(value)))


def test_what_is_asked_for_is_checked(key):
    with pytest.raises(ValueError, match="relative_width must be at least"):
        spectral_density(jnp.sum, jnp.ones(3), key, relative_width=0.0)
