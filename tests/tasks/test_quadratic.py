import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from l2o.tasks import Quadratic, QuadraticFamily

seeds = st.integers(0, 2**31 - 1)


def draw(seed):
    with jax.enable_x64(True):
        return QuadraticFamily().sample(jax.random.key(seed))


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_loss_is_the_formula(seed):
    with jax.enable_x64(True):
        task = draw(seed)
        x = np.asarray(task.init(jax.random.key(seed + 1)))
        hessian, linear = np.asarray(task.hessian), np.asarray(task.linear)
        expected = x @ hessian @ x / 2 + x @ linear + float(task.offset)
        assert float(task.loss(jnp.asarray(x))) == pytest.approx(expected, rel=1e-8)
        # Independently: the offset makes the minimum 0.
        lowest = -linear @ np.linalg.solve(hessian, linear) / 2
        assert float(task.offset) == pytest.approx(-lowest, rel=1e-6)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_the_minimiser_is_one(seed):
    with jax.enable_x64(True):
        task = draw(seed)
        value, grad = task.value_and_grad(task.minimizer, None)
        assert value == 0
        np.testing.assert_allclose(grad, 0, atol=1e-9)
        np.testing.assert_allclose(
            task.minimizer, -np.linalg.solve(task.hessian, task.linear), rtol=1e-6
        )


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_eigenvalues_lie_in_their_range(seed):
    eigenvalues = np.linalg.eigvalsh(np.asarray(draw(seed).hessian))
    assert eigenvalues.min() >= 1e-3 * (1 - 1e-6)
    assert eigenvalues.max() <= 1 + 1e-6


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_no_loss_is_negative_in_single_precision(seed):
    task = QuadraticFamily().sample(jax.random.key(seed))
    near = task.minimizer + 1e-3 * jax.random.normal(jax.random.key(seed), (50, 5))
    assert float(jax.vmap(task.loss)(near).min()) >= 0


def test_from_linear():
    hessian, linear = jnp.array([[2.0, 0.5], [0.5, 1.0]]), jnp.array([1.0, -1.0])
    task = Quadratic.from_linear(hessian, linear)
    np.testing.assert_allclose(task.linear, linear, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(task.loss)(jnp.zeros(2)), linear, rtol=1e-6)


@pytest.fixture(scope="module")
def many():
    """20,000 draws: their eigenvalues, linear terms and losses at the start."""

    def one(key):
        task_key, start_key = jax.random.split(key)
        task = QuadraticFamily().sample(task_key)
        eigenvalues = jnp.linalg.eigvalsh(task.hessian)
        return eigenvalues, task.linear, task.loss(task.init(start_key))

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 20_000))


def test_mean_loss_at_the_start(many):
    losses = np.asarray(many[2], np.float64)
    # E f0 = (n / 2) (E[1 / eigenvalue] + E[eigenvalue]), for a log-uniform eigenvalue.
    log_range = 3 * np.log(10)
    expected = 2.5 * ((1e3 - 1) / log_range + (1 - 1e-3) / log_range)
    assert expected == pytest.approx(362, abs=0.5)
    assert abs(losses.mean() - expected) < 4 * losses.std() / np.sqrt(losses.size)
    assert np.median(losses) == pytest.approx(180, rel=0.05)


def test_eigenvalues_are_log_uniform_and_linear_terms_normal(many):
    eigenvalues, linear = (np.asarray(x)[:2000] for x in many[:2])
    exponents = np.log10(eigenvalues.ravel())
    assert stats.kstest(exponents, stats.uniform(-3, 3).cdf).pvalue > 1e-3
    assert stats.kstest(linear.ravel(), "norm").pvalue > 1e-3


def test_other_dimension_and_range():
    task = QuadraticFamily(3, (1.0, 1.0)).sample(jax.random.key(0))
    np.testing.assert_allclose(task.hessian, 10 * np.eye(3), atol=1e-4)


def test_deterministic_in_the_key(key):
    one, other = QuadraticFamily().sample(key), QuadraticFamily().sample(key)
    assert jnp.array_equal(one.hessian, other.hessian)
    assert jnp.array_equal(one.minimizer, other.minimizer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "dimension must be at least 1"), ((5, (0.0, -3.0)), "log10_eigenvalues")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        QuadraticFamily(*arguments)
