import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compilation):
    """For every module here."""


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="session")
def quadratic():
    """x'Ax / 2 + b'x for parameters of any structure."""

    def make(matrix, linear=0.0):
        def loss(params):
            x = jax.flatten_util.ravel_pytree(params)[0]
            return x @ (jnp.asarray(matrix, x.dtype) @ x) / 2 + jnp.sum(linear * x)

        return loss

    return make


@pytest.fixture(scope="session")
def random_symmetric():
    """A symmetric matrix with normal eigenvalues."""

    def make(size, seed=0):
        generator = np.random.default_rng(seed)
        basis, _ = np.linalg.qr(generator.standard_normal((size, size)))
        return (basis * generator.standard_normal(size)) @ basis.T

    return make


@pytest.fixture(scope="session")
def small_network():
    """The loss of a small network, its parameters, and its dense Hessian there."""
    generator = np.random.default_rng(0)
    inputs = jnp.asarray(generator.standard_normal((20, 4)), jnp.float32)
    labels = jnp.asarray(generator.integers(0, 3, 20))
    params = {
        "hidden": jnp.asarray(generator.standard_normal((4, 5)), jnp.float32),
        "bias": jnp.asarray(generator.standard_normal(5), jnp.float32),
        "output": jnp.asarray(generator.standard_normal((5, 3)), jnp.float32),
    }

    def loss(params):
        logits = jnp.tanh(inputs @ params["hidden"] + params["bias"]) @ params["output"]
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(20), labels])

    vector, unravel = jax.flatten_util.ravel_pytree(params)
    return loss, params, np.asarray(jax.jit(jax.hessian(lambda x: loss(unravel(x))))(vector))
