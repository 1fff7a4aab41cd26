import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import (
    curvature,
    hessian_product,
    lanczos,
    power_iteration,
    ritz_pairs,
    spectral_norm,
    top_eigenvalue,
)


def tree(vector):
    """Part of the parameters as a matrix, the rest as a vector."""
    return {"a": vector[:4].reshape(2, 2), "b": vector[4:]}


@pytest.fixture(scope="module")
def extremes(quadratic):
    """The two measures of a quadratic, compiled once for each size."""

    @jax.jit
    def measure(matrix, params, key):
        loss = quadratic(matrix)
        return spectral_norm(loss, params, key), top_eigenvalue(loss, params, key)

    return measure


@jax.jit
def pairs_and_vectors(matrix, start):
    pairs = lanczos(lambda v: matrix @ v, start, 40)
    return pairs, pairs.vectors


def test_products_are_those_of_the_dense_hessian(small_network, key):
    loss, params, dense = small_network
    vector, unravel = jax.flatten_util.ravel_pytree(params)
    direction = jax.random.normal(key, vector.shape)
    product = hessian_product(loss, params)(unravel(direction))
    assert jax.tree.structure(product) == jax.tree.structure(params)
    flat = jax.flatten_util.ravel_pytree(product)[0]
    np.testing.assert_allclose(flat, dense @ direction, rtol=1e-4, atol=1e-5)
    expected = direction @ dense @ direction
    np.testing.assert_allclose(curvature(loss, params, unravel(direction)), expected, rtol=1e-4)


def test_eigenvalues_of_a_network(small_network, key):
    loss, params, dense = small_network
    values = np.linalg.eigvalsh(dense)
    assert values[0] < 0
    norm, top = jax.jit(
        lambda p, k: (spectral_norm(loss, p, k), top_eigenvalue(loss, p, k, num_products=20))
    )(params, key)
    np.testing.assert_allclose(norm, np.max(np.abs(values)), rtol=1e-4)
    np.testing.assert_allclose(top, values[-1], rtol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 30, 100])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_of_dense_hessians(extremes, random_symmetric, key, size, sign):
    matrix = sign * random_symmetric(size, seed=size)
    values = np.linalg.eigvalsh(matrix)
    norm, top = extremes(matrix, jnp.ones(size), key)
    np.testing.assert_allclose(norm, np.max(np.abs(values)), rtol=1e-4)
    # Relative to the norm: the top eigenvalue itself may be near zero.
    assert abs(top - values[-1]) <= 1e-4 * np.max(np.abs(values))


EXHAUSTED = {
    "identity": (np.eye(30), 1.0, 1.0),
    "minus the identity": (-3 * np.eye(30), 3.0, -3.0),
    "rank one": (np.outer(np.arange(30), np.arange(30)) / 100, 85.55, 85.55),
    "zero": (np.zeros((30, 30)), 0.0, 0.0),
    "two eigenvalues": (np.diag(np.where(np.arange(30) < 20, -2.0, 0.5)), 2.0, 0.5),
    "large": (1e12 * np.eye(30), 1e12, 1e12),
    "small": (1e-12 * np.eye(30), 1e-12, 1e-12),
}


@pytest.mark.parametrize("name", EXHAUSTED)
def test_exhausted_krylov_spaces(extremes, key, name):
    matrix, norm, top = EXHAUSTED[name]
    measured = extremes(matrix, tree(jnp.ones(30)), key)
    np.testing.assert_allclose(measured, [norm, top], rtol=1e-5)


@pytest.mark.parametrize("name", EXHAUSTED)
def test_ritz_pairs_of_exhausted_krylov_spaces(key, name):
    matrix, *_ = EXHAUSTED[name]
    start = jax.random.normal(key, (30,))
    pairs, vectors = pairs_and_vectors(jnp.asarray(matrix, jnp.float32), start)
    values, weights, vectors = pairs.values, pairs.weights, np.asarray(vectors)
    np.testing.assert_allclose(np.sum(weights), 1, rtol=1e-5)
    start = np.asarray(start) / np.linalg.norm(start)
    scale = np.max(np.abs(matrix))
    for order in (1, 2):
        expected = start @ np.linalg.matrix_power(matrix, order) @ start
        actual = np.sum(np.asarray(weights, float) * np.asarray(values, float) ** order)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6 * scale**order)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-4) | (lengths < 1e-4))
    residuals = vectors @ matrix - np.asarray(values)[:, None] * vectors
    np.testing.assert_allclose(residuals, 0, atol=1e-4 * scale + 1e-30)


def test_not_a_number_stays_one(key):
    assert jnp.isnan(spectral_norm(lambda x: jnp.nan * jnp.sum(x**2), jnp.ones(5), key))


def test_power_iteration_finds_the_largest_magnitude_with_its_sign(quadratic, key):
    matrix = np.diag([-4.0, 2.0, 1.0, 0.5, 0.1])
    value, vector = power_iteration(quadratic(matrix), tree(jnp.ones(5)), key, num_iterations=20)
    np.testing.assert_allclose(value, -4, rtol=1e-5)
    np.testing.assert_allclose(jnp.abs(vector["a"]), [[1, 0], [0, 0]], atol=1e-4)
    value, vector = power_iteration(quadratic(np.zeros((5, 5))), jnp.ones(5), key)
    assert value == 0
    np.testing.assert_allclose(jnp.linalg.norm(vector), 1, rtol=1e-5)


def test_the_derivative_of_an_eigenvalue(key, x64):
    # The Hessian of sum a_i x_i^4 / 12 + (sum x)^2 / 2 is diag(a x^2) + 1.
    a, x = jnp.array([3.0, 1.0, 0.5]), jnp.array([1.5, -0.7, 0.3])

    def loss(x):
        return jnp.sum(a * x**4) / 12 + jnp.sum(x) ** 2 / 2

    def top(x):
        return jnp.linalg.eigvalsh(jnp.diag(a * x**2) + 1)[-1]

    def measured(x):
        return power_iteration(loss, x, key, num_iterations=60)[0]

    np.testing.assert_allclose(jax.grad(measured)(x), jax.grad(top)(x), rtol=1e-8)


def test_what_is_asked_for_is_checked(key):
    with pytest.raises(ValueError, match="num_products must be at least 1"):
        ritz_pairs(jnp.sum, jnp.ones(3), key, 0)
    with pytest.raises(ValueError, match="at least one parameter"):
        spectral_norm(lambda p: jnp.zeros(()), {}, key)
