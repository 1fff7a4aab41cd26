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
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(30), atol=1e-5)
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


@pytest.mark.parametrize("num_steps", [10, 13])
def test_eigenvalues_come_as_often_as_they_occur(num_steps):
    """Of a matrix with few distinct ones, from a start that is orthogonal to some."""
    values = np.array([-2.0, -2.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0, 3.0, 3.0])
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((10, 10)))[0]
    matrix = jnp.asarray((basis * values) @ basis.T, jnp.float32)
    for start in (jnp.ones(10), jnp.asarray(basis[:, 5] + basis[:, 9], jnp.float32)):
        pairs = lanczos(lambda v: matrix @ v, start, num_steps)
        np.testing.assert_allclose(pairs.values, values, atol=2e-5)
        np.testing.assert_allclose(pairs.basis @ pairs.basis.T, np.eye(10), atol=1e-5)


def test_lanczos_begins_anew_where_nothing_is_left():
    """Not even rounding noise, from an eigenvector of a diagonal matrix."""
    values = jnp.array([-2.0, 0.0, 1.0, 3.0, 3.0])
    for index in range(5):
        pairs = lanczos(lambda v: values * v, jnp.eye(5)[index], 5)
        np.testing.assert_allclose(pairs.values, values, atol=1e-5)
        weights = np.where(abs(pairs.values - values[index]) < 1e-3, pairs.weights, 0)
        np.testing.assert_allclose(np.sum(weights), 1, rtol=1e-5)


def tied(values, size=12):
    """A matrix with eigenvalues of opposite signs above, and 0.1 and less below."""
    basis = np.linalg.qr(np.random.default_rng(2).standard_normal((size, size)))[0]
    rest = np.linspace(-0.1, 0.1, size - len(values))
    return (basis * np.concatenate([values, rest])) @ basis.T


TIES = {
    "tie": [1.0, -1.0],
    "tie of several": [1.0, 1.0, -1.0, -1.0, -1.0],
    "positive by little": [1.0, -0.97],
    "negative by little": [0.97, -1.0],
    "negative by less": [0.998, -1.0, -1.0],
    "all below": [1.0, -0.7],
}


@pytest.fixture(scope="module")
def iterated(quadratic):
    """Ten steps of power iteration from a hundred starts, compiled once."""

    @jax.jit
    def run(matrix):
        def once(key):
            return power_iteration(quadratic(matrix), jnp.ones(12), key)

        return jax.vmap(once)(jax.random.split(jax.random.key(0), 100))

    return run


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
@pytest.mark.parametrize("name", TIES)
def test_power_iteration_tells_opposite_eigenvalues_apart(iterated, name, scale):
    values, vectors = (np.asarray(part, float) for part in iterated(scale * tied(TIES[name])))
    values = values / scale
    residuals = vectors @ tied(TIES[name]) - values[:, None] * vectors
    assert np.all(np.linalg.norm(residuals, axis=1) < 0.03)
    # Of two that differ by little, a start may have next to nothing of the larger one.
    nearest = [abs(values - value) for value in TIES[name]]
    np.testing.assert_array_less(np.min(nearest, axis=0), 1e-3)
    top = max(TIES[name], key=abs)
    if "tie" in name:
        # Both are right, and both are found.
        assert set(np.sign(values).tolist()) == {-1, 1}
    else:
        assert np.mean(abs(values - top) < 1e-3) >= 0.95


def test_power_iteration_on_a_saddle(key):
    for seed in range(5):
        value, vector = power_iteration(
            lambda p: p["x"] * p["y"],
            {"x": jnp.array(0.3), "y": jnp.array(2.0)},
            jax.random.key(seed),
            num_iterations=2,
        )
        np.testing.assert_allclose(abs(value), 1, rtol=1e-5)
        np.testing.assert_allclose(vector["x"], np.sign(value) * vector["y"], rtol=1e-4)


def test_vectors_without_opposites_are_those_of_the_iteration_alone(random_symmetric, key):
    """To the last digit, where a positive matrix has nearly tied eigenvalues, or none converged."""
    for matrix in (
        random_symmetric(12) @ random_symmetric(12),
        tied([1.0, 0.98, 0.9]),
        tied([1.0, 0.5, -0.4]),
    ):
        matrix = jnp.asarray(matrix, jnp.float32)
        for steps in (0, 1, 2, 10):
            vector = jax.random.normal(key, (12,))
            vector = vector / jnp.linalg.norm(vector)
            for _ in range(steps):
                vector = matrix @ vector
                vector = vector / jnp.linalg.norm(vector)
            found = power_iteration(
                lambda x, matrix=matrix: x @ (matrix @ x) / 2,
                jnp.zeros(12),
                key,
                num_iterations=steps,
            )[1]
            np.testing.assert_allclose(found, vector, rtol=2e-5, atol=2e-6)


def test_the_derivative_of_an_eigenvalue_beside_its_opposite(key, x64):
    """The Hessian is diag(a x^2) + 1, one eigenvalue of which is nearly minus another."""
    a, x = jnp.array([3.0, -3.85, 0.2]), jnp.array([1.5, 1.5, 0.1])

    def loss(x):
        return jnp.sum(a * x**4) / 12 + jnp.sum(x) ** 2 / 2

    def top(x):
        values = jnp.linalg.eigvalsh(jnp.diag(a * x**2) + 1)
        return values[jnp.argmax(jnp.abs(values))]

    values = np.linalg.eigvalsh(np.diag(a * x**2) + 1)
    assert 0.97 < -values[0] / values[-1] < 0.99

    def measured(x):
        return power_iteration(loss, x, key, num_iterations=20)[0]

    np.testing.assert_allclose(measured(x), top(x), rtol=1e-8)
    step = 1e-5
    differences = [(top(x + d) - top(x - d)) / (2 * step) for d in step * np.eye(3)]
    np.testing.assert_allclose(jax.grad(measured)(x), differences, rtol=1e-6, atol=1e-6)


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
