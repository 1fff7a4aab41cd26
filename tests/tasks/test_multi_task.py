import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.tasks import (
    MLP,
    MultiObjectiveTask,
    MultiTaskNetwork,
    Reparameterized,
    TaskBatch,
    ValueFunction,
    multi_task_mlp_family,
)
from l2o.tasks.datasets import (
    Classes,
    Classification,
    MultiTaskData,
    Numbers,
    digit_attributes,
    only_target,
    overlaid_pairs,
)


class Spheres(MultiObjectiveTask):
    """`|x - c_i|^2` for two centres."""

    centres: jax.Array

    def init(self, key):
        return jax.random.normal(key, self.centres.shape[1:])

    def losses(self, params, batch):
        return jnp.sum((params - self.centres) ** 2, axis=1)


CENTRES = jnp.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])


def test_a_task_with_several_losses_gives_all_of_them_and_their_gradients(key):
    task = Spheres(CENTRES)
    params = task.init(key)
    losses, jacobian = task.value_and_grad(params, None)
    np.testing.assert_allclose(losses, ((params - CENTRES) ** 2).sum(1), rtol=1e-6)
    np.testing.assert_allclose(jacobian, 2 * (params - CENTRES), rtol=1e-6)
    np.testing.assert_array_equal(ValueFunction(task, None)(params), losses)
    assert task.loss(params, None) == pytest.approx(float(losses.mean()))


def test_other_units_keep_the_losses(key, random_like):
    task = Spheres(CENTRES)
    params = task.init(key)
    other = Reparameterized(task, random_like(params))
    scaled = params / jnp.exp(other.log_scale)
    losses, jacobian = other.value_and_grad(scaled, None)
    np.testing.assert_allclose(losses, task.losses(params, None), rtol=1e-5)
    np.testing.assert_allclose(other.value(scaled, None), losses, rtol=1e-5)
    np.testing.assert_allclose(
        jacobian, 2 * (params - CENTRES) * jnp.exp(other.log_scale), rtol=1e-5
    )


@pytest.fixture(scope="module")
def pairs(small_images):
    return overlaid_pairs(small_images, pairs_per_image=2)


def test_pairs_are_overlaid_images_with_both_labels(small_images, pairs):
    images, labels = small_images.split("train")
    inputs, (left, right) = pairs.split("train")
    assert inputs.shape == (80, 8, 8, 1)
    np.testing.assert_array_equal(left, np.tile(labels, 2))
    for index in (0, 7, 53):
        upper_left = np.pad(images[index % 40], [(0, 2), (0, 2), (0, 0)])
        candidates = [np.pad(image, [(2, 0), (2, 0), (0, 0)]) for image in np.asarray(images)]
        overlays = [np.maximum(upper_left, candidate) for candidate in candidates]
        (partner,) = [
            i for i, overlay in enumerate(overlays) if np.array_equal(overlay, inputs[index])
        ]
        assert partner != index % 40
        assert right[index] == labels[partner]
    # Every image is a partner once in each round, and of another image each time.
    assert sorted(np.asarray(right[:40])) == sorted(np.asarray(labels))
    assert jnp.any(inputs[:40] != inputs[40:])


def test_pairs_need_images():
    flat = Classification.from_arrays(
        "flat", np.ones((9, 4)), np.zeros(9), num_classes=2, num_validation=2, num_test=2
    )
    with pytest.raises(ValueError, match="images"):
        overlaid_pairs(flat)
    with pytest.raises(ValueError, match="pairs_per_image"):
        overlaid_pairs(flat, pairs_per_image=0)


def test_attributes_of_digits(small_images):
    data = digit_attributes(small_images, missing=0.5)
    images, labels = small_images.split("train")
    _, (digit, ink, even) = data.split("train")
    np.testing.assert_array_equal(digit, labels)
    np.testing.assert_allclose(ink, images.sum((1, 2, 3)), rtol=1e-5)
    known = np.asarray(even) >= 0
    assert known.sum() == 20
    np.testing.assert_array_equal(even[known], labels[known] % 2 == 0)
    assert jnp.all(data.split("test")[1][2] >= 0)
    with pytest.raises(ValueError, match="missing"):
        digit_attributes(small_images, missing=1.0)


def test_rows_without_a_value_do_not_count():
    outputs = jnp.array([[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    target = Classes("x", 2)
    values = jnp.array([0, 0, -1])
    expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
    assert target.loss(outputs, values) == pytest.approx(expected, rel=1e-5)
    assert target.metrics(outputs, values)["accuracy"] == 0.5
    assert target.loss(outputs, jnp.full(3, -1)) == 0.0
    number = Numbers("y")
    values = jnp.array([1.0, jnp.nan, 3.0])
    assert number.loss(outputs[:, :1], values) == pytest.approx((1.0 + 4.0) / 2)
    slope = jax.grad(lambda outputs: number.loss(outputs, values))(outputs[:, :1])
    np.testing.assert_allclose(slope[:, 0], [1.0, 0.0, 2.0])


@pytest.fixture(scope="module")
def family(small_images):
    return multi_task_mlp_family(digit_attributes(small_images), (5,), (4,), batch_size=16)


def test_the_split_at_the_trunk_gives_the_whole_jacobian(family, key, assert_trees_close):
    task = family.sample(key)
    params = task.init(key)
    batch = task.sample(key)
    losses, jacobian = task.value_and_grad(params, batch)
    expected = jax.jacrev(task.losses)(params, batch)
    np.testing.assert_allclose(losses, task.losses(params, batch), rtol=1e-6)
    assert_trees_close(jacobian, expected, rtol=1e-4, atol=1e-5)


def test_a_network_is_judged_target_by_target(family, key):
    task = family.sample(key)
    params = task.init(key)
    found = task.evaluate(params)
    assert list(found) == [
        "test_digit_loss",
        "test_digit_accuracy",
        "test_ink_loss",
        "test_even_loss",
        "test_even_accuracy",
    ]
    losses = task.losses(params, task.data.split("test"))
    np.testing.assert_allclose(
        losses, [found[f"test_{name}_loss"] for name in ("digit", "ink", "even")], rtol=1e-5
    )


def test_tasks_in_a_batch_share_the_data(family, key):
    tasks = TaskBatch.draw(family, key, 3)
    assert tasks.task.data.inputs["train"] is family.data.inputs["train"]
    params = tasks.init(key)
    batch = tasks.sample(key)
    losses, jacobian = tasks.value_and_grad(params, batch)
    assert losses.shape == tasks.value(params, batch).shape == (3, 3)
    assert {leaf.shape[:2] for leaf in jax.tree.leaves(jacobian)} == {(3, 3)}


def test_bad_settings_are_said(family, pairs):
    with pytest.raises(ValueError, match="one head a target"):
        MultiTaskNetwork(pairs, MLP((64, 5)), (MLP((5, 3)),))
    with pytest.raises(ValueError, match="target"):
        only_target(pairs, "middle")
    with pytest.raises(ValueError, match="layers of the trunk"):
        multi_task_mlp_family(pairs, ())
    with pytest.raises(ValueError, match="one value a row"):
        MultiTaskData(pairs.inputs, pairs.values, pairs.targets[:1], "short")
    halves = {split: (one, other / 2) for split, (one, other) in pairs.values.items()}
    with pytest.raises(ValueError, match=r"'right' of 'cut' takes values of type integer, got f"):
        MultiTaskData(pairs.inputs, halves, pairs.targets, "cut")
    assert only_target(pairs, "right").values["test"][0] is pairs.values["test"][1]
