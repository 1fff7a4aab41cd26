import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from l2o.flatness import (
    entropy_gap,
    entropy_gap_by_sgld,
    expected_sharpness,
    quadratic_entropy_gap,
    sgld_mean,
)

GAMMA = 2.0


def exact_gap(matrix, gradient):
    """Delta of a quadratic, without its eigenvalues."""
    shifted = np.eye(len(matrix)) + matrix / GAMMA
    solved = np.linalg.solve(GAMMA * shifted, gradient)
    return np.linalg.slogdet(shifted)[1] / 2 - gradient @ solved / 2


@pytest.fixture(scope="module")
def bowl(random_symmetric):
    """A positive definite matrix with eigenvalues from 0.1 to 20."""
    basis = np.linalg.eigh(random_symmetric(6))[1]
    return (basis * np.geomspace(0.1, 20, 6)) @ basis.T


def test_quadratics_come_out_exact(quadratic, bowl, key):
    measure = jax.jit(lambda x, k: entropy_gap(quadratic(bowl), x, GAMMA, k, rank=6))
    for slope in (0.0, 1.5):
        x = slope * jnp.arange(6.0) / 6
        value, error = measure(x, key)
        np.testing.assert_allclose(value, exact_gap(bowl, bowl @ np.asarray(x)), rtol=1e-4)
        assert error < 1e-3


@pytest.mark.parametrize("rank", [0, 2, 4])
def test_quadratics_within_their_standard_error(quadratic, bowl, key, rank):
    x = jnp.arange(6.0) / 20
    expected = exact_gap(bowl, bowl @ np.asarray(x))
    value, error = jax.jit(
        lambda x, k: entropy_gap(quadratic(bowl), x, GAMMA, k, rank=rank, num_samples=4000)
    )(x, key)
    assert abs(value - expected) < 4 * error
    assert error < 0.1


def test_the_formula_in_the_eigenbasis(bowl):
    values, vectors = np.linalg.eigh(bowl)
    gradient = np.arange(6.0) - 2
    actual = quadratic_entropy_gap(values, vectors.T @ gradient, GAMMA)
    np.testing.assert_allclose(actual, exact_gap(bowl, gradient), rtol=1e-4)


def double_well(x):
    """Neither convex nor symmetric."""
    return 0.5 * (x**2 - 1) ** 2 + 0.3 * x


@pytest.mark.parametrize("rank", [0, 1])
def test_a_loss_that_is_not_quadratic(key, rank):
    x = 0.4

    def integrand(d):
        density = np.exp(-GAMMA * d**2 / 2) * np.sqrt(GAMMA / (2 * np.pi))
        return density * np.exp(double_well(x) - double_well(x + d))

    expected = -np.log(quad(integrand, -10, 10)[0])
    value, error = entropy_gap(
        lambda p: double_well(p[0]), jnp.array([x]), GAMMA, key, rank=rank, num_samples=2000
    )
    assert abs(value - expected) < 4 * error
    assert error < 0.03


@pytest.mark.parametrize(
    "values",
    [
        [3.0] * 6,
        [0.0] * 6,
        [2.0, 2.0, 5.0, 5.0, 5.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 7.0],
    ],
)
@pytest.mark.parametrize("rank", [6, 20])
def test_equal_eigenvalues_come_out_exact(quadratic, bowl, key, values, rank):
    """Though Lanczos' method finds each of them once from any one start."""
    basis = np.linalg.eigh(bowl)[1]
    matrix = (basis * np.array(values)) @ basis.T
    gradient = np.array([1.0, -3.0, 0.0, 2.0, 1.0, 0.5])
    measure = jax.jit(
        jax.vmap(
            lambda k: entropy_gap(
                quadratic(matrix, gradient), jnp.zeros(6), GAMMA, k, rank=rank, num_samples=4
            )
        )
    )
    found, errors = measure(jax.random.split(key, 10))
    np.testing.assert_allclose(found, exact_gap(matrix, gradient), rtol=1e-4)
    assert np.all(errors < 1e-3)


def test_a_hill_steeper_than_gamma(key):
    """Its curvature, -4, is none that a normal proposal could follow."""

    def integrand(d):
        density = np.exp(-GAMMA * d**2 / 2) * np.sqrt(GAMMA / (2 * np.pi))
        return density * np.exp(4 - 4 * np.cos(d))

    expected = -np.log(quad(integrand, -10, 10)[0])
    value, error = entropy_gap(
        lambda p: 4 * jnp.cos(p[0]), jnp.zeros(1), GAMMA, key, rank=1, num_samples=4000
    )
    assert abs(value - expected) < 4 * error
    assert error < 0.1 * abs(expected)


def test_a_loss_that_is_infinite_nearby(key):
    """Where no sample is finite, there is no room at all."""
    value, _ = entropy_gap(
        lambda x: jnp.where(jnp.all(x == 1), 0, jnp.inf) * 1.0, jnp.ones(3), GAMMA, key, rank=0
    )
    assert value == jnp.inf


def test_jensens_inequality_and_two_proposals_for_a_network(small_network, key):
    loss, params, _ = small_network

    @jax.jit
    def measure(params, key):
        plain = entropy_gap(loss, params, 4.0, key, rank=0, num_samples=400)
        informed = entropy_gap(loss, params, 4.0, key, rank=5, num_samples=400)
        return plain, informed, expected_sharpness(loss, params, key, sigma=0.5, num_samples=400)

    plain, informed, rise = measure(params, key)
    assert informed.value < rise.value + 4 * (informed.standard_error + rise.standard_error)
    error = jnp.hypot(plain.standard_error, informed.standard_error)
    assert abs(plain.value - informed.value) < 4 * error
    assert error < 0.1


def test_thermodynamic_integration(quadratic, bowl, key):
    x = jnp.arange(6.0) / 20
    value, error = jax.jit(
        lambda x, k: entropy_gap_by_sgld(
            quadratic(bowl), x, GAMMA, k, step_size=0.01, num_steps=4000
        )
    )(x, key)
    expected = exact_gap(bowl, bowl @ np.asarray(x))
    # The bias of the step size is of the order of step_size * 22 / 4 here.
    assert abs(value - expected) < 4 * error + 0.06 * expected
    assert error < 0.1 * expected


def test_the_steps_of_entropy_sgd(key):
    # Without noise the recurrence is deterministic.
    target, x = np.array([1.0, -2.0]), np.array([0.5, 0.5])
    point, mean = x.copy(), x.copy()
    for _ in range(5):
        point = point - 0.1 * (3 * (point - target) + 0.7 * (point - x))
        mean = 0.75 * mean + 0.25 * point

    def gradient(params, key):
        return jax.tree.map(lambda p, t: 3 * (p - t), params, {"a": target[:1], "b": target[1:]})

    params = {"a": jnp.asarray(x[:1]), "b": jnp.asarray(x[1:])}
    found = sgld_mean(gradient, params, 0.7, 0.1, 5, 0.0, 0.75, key)
    np.testing.assert_allclose([found["a"][0], found["b"][0]], mean, rtol=1e-5)
    noisy = jax.vmap(lambda k: sgld_mean(gradient, params, 0.7, 0.1, 1, 0.2, 0.0, k)["a"][0])(
        jax.random.split(key, 4000)
    )
    np.testing.assert_allclose(jnp.std(noisy), 0.2 * np.sqrt(0.2), rtol=0.05)


def test_every_step_has_a_minibatch_of_its_own(key):
    def walk(key):
        return sgld_mean(
            lambda _, k: jax.random.normal(k), jnp.zeros(()), 0.0, 1.0, 25, 0.0, 0.0, key
        )

    ends = jax.jit(jax.vmap(walk))(jax.random.split(key, 2000))
    np.testing.assert_allclose(jnp.std(ends), 5, rtol=0.06)


def test_the_gradient_of_local_entropy_is_the_way_to_the_mean(key):
    x, step = 0.4, 1e-4

    def minus_local_entropy(x):
        def density(y):
            return np.exp(-double_well(y) - GAMMA * (x - y) ** 2 / 2)

        return -np.log(quad(density, -10, 10, epsabs=1e-13)[0])

    slope = (minus_local_entropy(x + step) - minus_local_entropy(x - step)) / (2 * step)
    means = jax.jit(
        jax.vmap(
            lambda k: sgld_mean(
                lambda p, _: jax.grad(double_well)(p),
                jnp.array(x),
                GAMMA,
                0.02,
                3000,
                1.0,
                0.998,
                k,
            )
        )
    )(jax.random.split(key, 200))
    found, error = GAMMA * (x - means.mean()), GAMMA * means.std() / np.sqrt(200)
    assert abs(found - slope) < 4 * error + 0.02
    assert error < 0.02
    assert abs(slope) > 0.2


def test_the_gradient_in_two_dimensions():
    def loss(x, y):
        return double_well(x) + 0.5 * (x * y - 0.3) ** 2

    def moment(function, centre):
        def integrand(y, x):
            distance = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
            return function(x) * np.exp(-loss(x, y) - GAMMA * distance / 2)

        return dblquad(integrand, -5, 5, -5, 5, epsabs=1e-7)[0]

    def minus_local_entropy(x):
        return -np.log(moment(lambda _: 1.0, (x, 0.2)))

    slope = (minus_local_entropy(0.41) - minus_local_entropy(0.39)) / 0.02
    mean = moment(lambda x: x, (0.4, 0.2)) / moment(lambda _: 1.0, (0.4, 0.2))
    np.testing.assert_allclose(slope, GAMMA * (0.4 - mean), rtol=1e-3)


def test_what_is_asked_for_is_checked(key):
    with pytest.raises(ValueError, match="rank must be at least 0"):
        entropy_gap(jnp.sum, jnp.ones(3), 1.0, key, rank=-1)
    with pytest.raises(ValueError, match="num_steps must be at least 1"):
        sgld_mean(lambda p, _: p, jnp.ones(3), 1.0, 0.1, 0, 1.0, 0.75, key)
