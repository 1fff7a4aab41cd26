import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import filter_jit

from l2o.tasks import (
    LeastSquaresFamily,
    QuadraticFamily,
    Reparameterized,
    ReparameterizedFamily,
    Rosenbrock,
    SingleTask,
    Task,
    TaskBatch,
    image_mlp,
    image_mlp_family,
)


def leaves(*trees):
    return zip(*map(jax.tree.leaves, trees), strict=True)


@filter_jit
def start(task, key):
    """Parameters, minibatch, loss, gradients and held-out metrics at the start."""
    params, batch = task.init(key), task.sample(key)
    return params, batch, *task.value_and_grad(params, batch), task.evaluate(params)


@pytest.fixture
def pair(small_images, key):
    """A task, and the same in other units."""
    original = image_mlp(small_images, (5,), "tanh", batch_size=8)
    return original, ReparameterizedFamily(SingleTask(original)).sample(key)


def test_losses_are_the_same_and_gradients_multiplied(pair, key):
    original, rescaled = pair
    params, _, loss, grads, metrics = start(original, key)
    new_params, _, new_loss, new_grads, new_metrics = start(rescaled, key)
    assert float(new_loss) == pytest.approx(float(loss), rel=1e-5)
    for x, y in leaves(metrics, new_metrics):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    for x, y, r in leaves(params, new_params, rescaled.log_scale):
        np.testing.assert_allclose(x, y * jnp.exp(r), rtol=1e-5)
    for x, y, r in leaves(grads, new_grads, rescaled.log_scale):
        np.testing.assert_allclose(x * jnp.exp(r), y, rtol=1e-3, atol=1e-6)


def test_value_and_grad_differentiates_the_loss(pair, key):
    _, rescaled = pair
    params, batch, value, grads, _ = start(rescaled, key)
    expected_value, expected = jax.jit(jax.value_and_grad(lambda p: rescaled.loss(p, batch)))(
        params
    )
    assert float(value) == pytest.approx(float(expected_value))
    for x, y in leaves(grads, expected):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-7)


class TwoLosses(Task):
    """Hands the optimizer two losses and their gradients."""

    def init(self, key):
        return jnp.array([1.0, 2.0])

    def loss(self, params, batch=None):
        return jnp.sum(params**2)

    def value_and_grad(self, params, batch):
        losses = lambda x: jnp.stack([x[0] ** 2, x[0] * x[1]])  # noqa: E731
        return losses(params), jax.jacobian(losses)(params)


def test_several_losses(key):
    log_scale = jnp.log(jnp.array([2.0, 5.0]))
    task = Reparameterized(TwoLosses(), log_scale)
    values, jacobian = task.value_and_grad(task.init(key), None)
    np.testing.assert_allclose(values, [1, 2], rtol=1e-6)
    np.testing.assert_allclose(jacobian, [[4, 0], [4, 5]], rtol=1e-6, atol=1e-6)


def test_scales_are_log_uniform(key):
    task = ReparameterizedFamily(LeastSquaresFamily(1, 4000), 2.0).sample(key)
    log_scale = np.asarray(task.log_scale)
    assert -2 <= log_scale.min() < -1.99
    assert 1.99 < log_scale.max() <= 2
    assert abs(log_scale.mean()) < 5 * 4 / np.sqrt(12 * 4000)


def test_every_parameter_has_a_scale_of_its_own(pair):
    _, rescaled = pair
    scales = np.concatenate([np.ravel(r) for r in jax.tree.leaves(rescaled.log_scale)])
    assert len(np.unique(scales)) > 0.99 * scales.size


def test_no_scale_is_no_change(key):
    task = ReparameterizedFamily(SingleTask(Rosenbrock()), 0.0).sample(key)
    assert jnp.array_equal(task.init(key), Rosenbrock().init(key))
    halves = jnp.array([0.5, 0.5])
    assert task.loss(halves, None) == Rosenbrock().loss(halves)


def test_shared_arrays_stay_shared(small_images, key):
    family = ReparameterizedFamily(image_mlp_family(small_images, (5,)))
    batch = TaskBatch.draw(family, key, 3)
    assert batch.task.task.dataset.train_inputs is small_images.train_inputs
    weight, _ = batch.task.log_scale[0]
    assert weight.shape == (3, 36, 5)


def test_deterministic_in_the_key(key):
    family = ReparameterizedFamily(QuadraticFamily())
    for x, y in leaves(family.sample(key), family.sample(key)):
        assert jnp.array_equal(x, y)


def test_a_negative_range():
    with pytest.raises(ValueError, match="max_log_scale must be a finite number of at least 0"):
        ReparameterizedFamily(QuadraticFamily(), -1.0)
