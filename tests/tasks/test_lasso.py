import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso as SklearnLasso

from l2o.tasks import Lasso, LassoFamily


def test_loss_is_the_formula(key):
    task = LassoFamily().sample(key)
    start = task.init(key)
    x = np.asarray(start)
    residual = np.asarray(task.matrix) @ x - np.asarray(task.targets)
    expected = 0.5 * (residual**2).sum() + 0.005 * np.abs(x).sum()
    assert float(task.loss(start)) == pytest.approx(expected, rel=1e-5)


def test_the_solution_of_scikit_learn_is_stationary(key):
    penalty, rows = 0.5, 8
    with jax.enable_x64(True):
        task = LassoFamily(rows, 12, penalty).sample(key)
        solver = SklearnLasso(
            alpha=penalty / rows, fit_intercept=False, tol=1e-12, max_iter=100_000
        )
        x = solver.fit(np.asarray(task.matrix), np.asarray(task.targets)).coef_
        grad = np.asarray(jax.grad(task.loss)(jnp.asarray(x)))
    assert 0 < (x == 0).sum() < x.size
    np.testing.assert_allclose(grad[x != 0], 0, atol=1e-6)
    # Where x is 0, the gradient is that of the smooth part, and the penalty outweighs it.
    assert np.abs(grad[x == 0]).max() <= penalty + 1e-6


def test_slope_of_the_penalty_at_zero():
    task = Lasso(jnp.zeros((1, 2)), jnp.zeros(1), 0.5)
    assert jnp.array_equal(jax.grad(task.loss)(jnp.array([0.0, -2.0])), jnp.array([0.0, -0.5]))


def test_deterministic_in_the_key(key):
    one, other = (LassoFamily().sample(key) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, other.matrix)
    assert one.matrix.shape == (5, 10)


@pytest.mark.parametrize(
    ("arguments", "name"), [((0,), "num_rows"), ((5, 0), "dimension"), ((5, 5, -1.0), "l1_penalty")]
)
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"{name} must be (at|a finite number of at) least"):
        LassoFamily(*arguments)


def test_a_negative_penalty():
    with pytest.raises(ValueError, match="l1_penalty must be a finite number of at least 0"):
        Lasso(jnp.zeros((1, 2)), jnp.zeros(1), -0.5)
