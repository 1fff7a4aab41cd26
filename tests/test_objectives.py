import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.objectives import FinalLoss, MeanLogRatio, MeanLoss, NormalizedMeanLoss

LOSSES = jnp.array([4.0, 2.0, 1.0])
START = jnp.asarray(8.0)
BY_HAND = {
    MeanLoss(): 7 / 3,
    NormalizedMeanLoss(): 7 / 24,
    FinalLoss(): 1.0,
    MeanLogRatio(): -2 * np.log(2),
    MeanLogRatio(offset=1.0): np.mean(np.log([13 / 9, 11 / 9, 10 / 9])),
}


@pytest.mark.parametrize(("objective", "value"), BY_HAND.items(), ids=str)
def test_by_hand(objective, value):
    np.testing.assert_allclose(objective(LOSSES, START), value, rtol=1e-5)


@pytest.mark.parametrize("objective", BY_HAND, ids=str)
def test_tasks_side_by_side(objective):
    losses = jnp.stack([LOSSES, 3 * LOSSES], axis=1)
    starts = jnp.array([START, 2 * START])
    values = objective(losses, starts)
    assert values.shape == (2,)
    np.testing.assert_allclose(values[0], objective(LOSSES, START), rtol=1e-6)
    np.testing.assert_allclose(values[1], objective(3 * LOSSES, 2 * START), rtol=1e-6)


def test_a_loss_of_zero_keeps_a_finite_logarithm_and_slope():
    objective = MeanLogRatio()
    value, slope = jax.value_and_grad(objective)(jnp.zeros(1), START)
    np.testing.assert_allclose(value, np.log(1e-6), rtol=1e-5)
    np.testing.assert_allclose(slope, [1e6 / 8], rtol=1e-5)
