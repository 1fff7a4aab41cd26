"""Regressions on what another network says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.tasks import TaskBatch, TeacherStudentFamily

KEY = jax.random.key(0)
SMALL = {"inputs": 3, "hidden": (5,), "num_rows": 40, "batch_size": 8}


def test_targets_to_learn_from_are_standardized_and_noise_is_added_to_them_alone():
    clean = TeacherStudentFamily(**SMALL, outputs=2).sample(KEY)
    np.testing.assert_allclose(np.mean(clean.train[1], axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.std(clean.train[1], axis=0), 1, rtol=1e-5)
    noisy = TeacherStudentFamily(**SMALL, outputs=2, noise=0.5).sample(KEY)
    np.testing.assert_array_equal(noisy.test[1], clean.test[1])
    assert 0.3 < np.std(noisy.train[1] - clean.train[1]) < 0.7


def test_one_teacher_says_the_targets_of_both_splits():
    """A student as large as the teacher that fits one split well fits the other one, too."""
    family = TeacherStudentFamily(
        inputs=2, hidden=(16,), activations=("tanh",), teacher_hidden=(2,), num_rows=200
    )
    task = family.sample(KEY)
    slope = jax.jit(jax.grad(task.loss))
    params = task.init(KEY)
    start = task.evaluate(params)["test_loss"]
    for _ in range(300):
        params = jax.tree.map(
            lambda leaf, by: leaf - 0.1 * by, params, slope(params, task.whole_batch())
        )
    assert task.evaluate(params)["test_loss"] < 0.3 * start


def test_the_best_that_says_nothing_has_a_loss_of_one():
    task = TeacherStudentFamily(**SMALL).sample(KEY)
    params = jax.tree.map(jnp.zeros_like, task.init(KEY))
    np.testing.assert_allclose(task.loss(params, task.whole_batch()), 1.0, rtol=1e-5)


def test_tasks_differ_and_are_batched():
    batch = TaskBatch.draw(TeacherStudentFamily(**SMALL, min_width=2), KEY, 3)
    losses = batch.value(batch.init(KEY), batch.sample(KEY))
    assert losses.shape == (3,)
    assert len(set(np.asarray(losses).tolist())) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_rows": 1}, "num_rows must be"),
        ({"noise": -1.0}, "noise must be"),
        ({"hidden": (0,)}, "hidden layer"),
        ({"teacher_hidden": (0,)}, "hidden layer"),
        ({"min_width": 40}, "min_width must be at most"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TeacherStudentFamily(**settings)
