import importlib
from unittest import mock

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.inner_loop import InnerState, unroll
from l2o.metatraining import Exact, FirstOrder, MetaLoss, Window
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.objectives import MeanLoss, NormalizedMeanLoss
from l2o.optimizers import GRU, per_task
from l2o.tasks import Task, TaskBatch, TaskFamily

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(5)
PLAIN, NORMALIZED = MetaLoss(MeanLoss()), MetaLoss(NormalizedMeanLoss())
NUM_TASKS = 3


class Bowl(Task):
    """A bowl that is no quadratic, with noise in the minibatches; 50 coordinates in two leaves."""

    curvature: jax.Array

    def init(self, key):
        return {"x": 1 + jax.random.normal(key, (7, 7)), "y": jnp.asarray(2.0)}

    def sample(self, key):
        return 0.1 * jax.random.normal(key, (7, 7))

    def loss(self, params, batch):
        bowl = jnp.log(jnp.cosh(params["x"] - batch))
        return jnp.mean(self.curvature * bowl) + params["y"] ** 2 / 8 + params["y"] / 4 + 1


class Bowls(TaskFamily):
    def sample(self, key):
        return Bowl(3 * jax.random.uniform(key, (7, 7)))


@eqx.filter_jit
def begin(optimizer, num_tasks, num_steps):
    """A window that begins at initialisation."""
    task = TaskBatch.draw(Bowls(), KEY, num_tasks)
    params = task.init(KEY)
    state = InnerState(params, per_task(optimizer).init(params))
    return Window(
        task, KEY, state, jnp.asarray(True), jnp.ones(num_tasks), jnp.asarray(0), num_steps
    )


def go_on(window, result):
    """The window that follows."""
    return Window(
        window.task,
        jax.random.fold_in(window.key, 1),
        result.state,
        jnp.asarray(False),
        result.losses[0],
        jnp.asarray(1),
        window.num_steps,
    )


differentiate = eqx.filter_jit(lambda estimator, *given: estimator.through_window(*given))


@eqx.filter_jit
def through_unroll(optimizer, meta_loss, window):
    return gradient_through_unroll(optimizer, meta_loss, window, first_order=True)


def make_gru():
    return GRU(3, key=KEY)


# With all rules, and in single precision: test_coordinate_gradient.py.
@pytest.mark.parametrize("kept_bytes", [0, 2**20], ids=["by coordinates", "states kept"])
def test_first_order_is_the_derivative_through_the_unroll(
    kept_bytes, random_like, assert_trees_close, x64
):
    optimizer = random_like(eqx.filter_eval_shape(make_gru), scale=0.5)
    estimator = FirstOrder(kept_bytes)
    window = begin(optimizer, NUM_TASKS, 6)
    for _ in ("fresh", "carried"):
        first_order = differentiate(estimator, optimizer, NORMALIZED, window)
        through = through_unroll(optimizer, NORMALIZED, window)
        assert_trees_close(first_order, through, rtol=1e-9, atol=1e-13)
        window = go_on(window, through)


def test_states_are_kept_of_small_windows_alone(random_like, monkeypatch):
    optimizer = random_like(eqx.filter_eval_shape(make_gru))
    window = begin(optimizer, NUM_TASKS, 6)
    module = importlib.import_module("l2o.metatraining.first_order")
    for name in ("_by_coordinates", "gradient_through_unroll"):
        monkeypatch.setattr(module, name, mock.Mock(side_effect=RuntimeError(name)))
    # Fifty coordinates a task: a parameter and three units, of four bytes each. A step counter.
    num_bytes = 6 * (NUM_TASKS * 50 * 4 * 4 + 4)
    with pytest.raises(RuntimeError, match="gradient_through_unroll"):
        FirstOrder(num_bytes).through_window(optimizer, PLAIN, window)
    with pytest.raises(RuntimeError, match="_by_coordinates"):
        FirstOrder(num_bytes - 1).through_window(optimizer, PLAIN, window)


@pytest.fixture(scope="module")
def gru_windows(random_like):
    """A GRU, two windows in a row, and their exact meta-gradients."""
    with jax.enable_x64(True):
        optimizer = random_like(eqx.filter_eval_shape(make_gru), scale=0.3)
        first = begin(optimizer, 2, 4)
        ahead = differentiate(Exact(), optimizer, NORMALIZED, first)
        second = go_on(first, ahead)
        behind = differentiate(Exact(), optimizer, NORMALIZED, second)
        return optimizer, (first, ahead), (second, behind)


@pytest.mark.usefixtures("x64")
def test_exact_meta_gradients_against_finite_differences(gru_windows, random_like):
    optimizer, *windows = gru_windows
    direction = random_like(optimizer, seed=1)
    for window, result in windows:
        # A carried window's start stays where it is when the meta-parameters move.
        around = [
            differentiate(
                Exact(),
                jax.tree.map(lambda x, d, h=h: x + h * d, optimizer, direction),
                NORMALIZED,
                window,
            ).meta_loss
            for h in (1e-6, -1e-6)
        ]
        products = jax.tree.map(lambda g, d: np.sum(g * d), result.gradient, direction)
        slope = (around[0] - around[1]) / 2e-6
        np.testing.assert_allclose(sum(jax.tree.leaves(products)), slope, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_windows_go_on_where_the_last_one_ended(gru_windows):
    optimizer, (first, ahead), (second, behind) = gru_windows
    run = eqx.filter_jit(
        lambda window, **more: unroll(optimizer, window.task, window.key, 4, **more)
    )
    one = run(first, state=first.state)
    two = run(second, state=one.state)
    np.testing.assert_allclose(ahead.losses, one.losses, rtol=1e-10)
    np.testing.assert_allclose(behind.losses, two.losses, rtol=1e-10)
    # Both windows are measured against the loss where the first one began.
    np.testing.assert_allclose(ahead.meta_loss, np.mean(one.losses / one.losses[0]), rtol=1e-10)
    np.testing.assert_allclose(behind.meta_loss, np.mean(two.losses / one.losses[0]), rtol=1e-10)


def test_only_a_fresh_window_depends_on_the_initial_state(gru_windows):
    _, (_, ahead), (_, behind) = gru_windows
    assert np.all(ahead.gradient.network.layers[0].initial_state)
    assert not np.any(behind.gradient.network.layers[0].initial_state)


@pytest.mark.usefixtures("x64")
def test_a_learnable_rate_by_hand(learnable_rate, parabola):
    curvature, rate, num_steps = 2.0, 0.3, 5
    optimizer = learnable_rate(jnp.asarray(rate))
    task = TaskBatch(parabola(jnp.array([curvature]), jnp.array([1.5])), (0, 0), 1)
    params = task.init(KEY)
    state = InnerState(params, per_task(optimizer).init(params))
    window = Window(task, KEY, state, jnp.asarray(True), jnp.ones(1), jnp.asarray(0), num_steps)
    x = 1.5 * (1 - rate * curvature) ** np.arange(num_steps + 1)
    slopes = curvature * x
    # With gradients constant, the parameters are the first ones less rate times their sum.
    before = np.concatenate([[0], np.cumsum(slopes)[:-1]])
    first_order = differentiate(FirstOrder(), optimizer, PLAIN, window)
    np.testing.assert_allclose(first_order.gradient.rate, -np.mean(slopes * before), rtol=1e-12)
    # In truth they are powers of 1 - rate times curvature.
    count = np.arange(num_steps + 1)
    powers = -count * curvature * 1.5 * (1 - rate * curvature) ** np.maximum(count - 1, 0)
    exact = differentiate(Exact(checkpoint=True), optimizer, PLAIN, window)
    np.testing.assert_allclose(exact.gradient.rate, np.mean(slopes * powers), rtol=1e-12)
    for result in (first_order, exact):
        np.testing.assert_allclose(result.losses[:, 0], curvature * x**2 / 2, rtol=1e-12)
