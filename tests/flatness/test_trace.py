import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import trace


def test_exact_for_diagonal_hessians(quadratic, key):
    estimate = trace(quadratic(np.diag(np.arange(10.0))), jnp.ones(10), key, num_probes=3)
    np.testing.assert_allclose(estimate.value, 45, rtol=1e-5)
    np.testing.assert_allclose(estimate.standard_error, 0, atol=1e-4)
    assert float(estimate) == estimate.value


def test_the_standard_error_is_that_of_the_estimate(small_network, key):
    loss, params, dense = small_network
    value, error = jax.jit(lambda p, k: trace(loss, p, k, num_probes=400))(params, key)
    # The variance of v'Hv is twice the sum of squares off the diagonal.
    off_diagonal = dense - np.diag(np.diag(dense))
    np.testing.assert_allclose(error, np.sqrt(2 * np.sum(off_diagonal**2) / 400), rtol=0.15)
    assert abs(value - np.trace(dense)) < 4 * error


def test_what_is_asked_for_is_checked(key):
    with pytest.raises(ValueError, match="number of samples must be at least 1"):
        trace(jnp.sum, jnp.ones(3), key, num_probes=0)
