"""Forward differentiation against back-propagation, for networks with states, in float64."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.metatraining import Exact, ForwardMode, MetaLoss, SAMSharpness, Window
from l2o.metatraining.staggered import StaggeredProblem
from l2o.metatraining.window import fresh_start
from l2o.objectives import FinalLoss, MeanLoss
from l2o.optimizers import RNNProp, per_task
from l2o.tasks import QuadraticFamily, TaskBatch

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

KEY = jax.random.key(2)
STEPS = 3


@pytest.fixture
def window():
    """The first of a fresh problem, without randomness along the way."""
    task = TaskBatch.draw(QuadraticFamily(dimension=2), KEY, 1)
    start = fresh_start(per_task(optimizer()), task, KEY)
    return Window(
        task=task,
        key=KEY,
        state=start.state,
        fresh=jnp.asarray(True),
        initial_loss=start.initial_loss,
        meta_step=jnp.asarray(0),
        num_steps=STEPS,
    )


def optimizer():
    return RNNProp(hidden_size=2, max_step=1.0, key=KEY)


def forward(estimator, meta_loss, window, carried):
    problem = StaggeredProblem(KEY, jnp.asarray(0), window.fresh, carried)
    return eqx.filter_jit(estimator.through_window)(optimizer(), meta_loss, window, problem, KEY)


def backward(meta_loss, window):
    return eqx.filter_jit(Exact().through_window)(optimizer(), meta_loss, window)


def number_of_meta_parameters():
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(optimizer(), eqx.is_inexact_array)))


def assert_same(one, other):
    leaves = [jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (one, other)]
    assert any(np.max(np.abs(leaf)) > 1e-6 for leaf in leaves[1])
    for leaf, expected in zip(*leaves, strict=True):
        assert leaf.dtype == jnp.float64
        np.testing.assert_allclose(leaf, expected, rtol=1e-9, atol=1e-15)


def test_a_window_with_regularizers(window):
    meta_loss = MetaLoss(MeanLoss(), (SAMSharpness(0.1),))
    # Chunks of meta-parameters, and one that is smaller.
    estimator = ForwardMode(at_once=7)
    assert number_of_meta_parameters() % 7
    start = fresh_start(per_task(optimizer()), window.task, KEY)
    found, _ = forward(estimator, meta_loss, window, estimator.start(optimizer(), start, KEY))
    expected = backward(meta_loss, window)
    assert found.regularization > 0
    np.testing.assert_allclose(found.meta_loss, expected.meta_loss, rtol=1e-12)
    np.testing.assert_allclose(found.regularization, expected.regularization, rtol=1e-12)
    assert_same(found.gradient, expected.gradient)


def test_a_window_after_another(window):
    """The last loss of two windows, derivatives carried over, is that of one twice as long."""
    meta_loss, estimator = MetaLoss(FinalLoss()), ForwardMode()
    start = fresh_start(per_task(optimizer()), window.task, KEY)
    carried = estimator.start(optimizer(), start, KEY)
    _, carried = forward(estimator, meta_loss, window, carried)
    second = eqx.tree_at(lambda window: window.fresh, window, jnp.asarray(False))
    found, _ = forward(estimator, meta_loss, second, carried)
    whole = backward(meta_loss, dataclasses.replace(window, num_steps=2 * STEPS))
    np.testing.assert_allclose(found.meta_loss, whole.meta_loss, rtol=1e-12)
    assert_same(found.gradient, whole.gradient)
