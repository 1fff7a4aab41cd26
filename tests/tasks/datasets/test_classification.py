import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from l2o.tasks.datasets import Classification, average_pool, subset
from l2o.tasks.datasets.classification import fixed_permutation


def numbered(count=50, num_validation=10, num_test=15):
    """Inputs that carry their row number, so that a row can be followed."""
    inputs = np.arange(count, dtype=np.float64)[:, None] * np.ones(2)
    return Classification.from_arrays(
        "numbered",
        inputs,
        np.arange(count) % 3,
        num_classes=3,
        num_validation=num_validation,
        num_test=num_test,
    )


def test_the_permutation_never_changes():
    # Splits, and with them all results, hang on it.
    assert fixed_permutation(8).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]


@given(st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_the_permutation_is_one(count):
    assert sorted(fixed_permutation(count)) == list(range(count))


def test_every_row_is_in_exactly_one_split_with_its_label():
    dataset = numbered()
    rows = []
    for split, count in (("train", 25), ("validation", 10), ("test", 15)):
        inputs, labels = dataset.split(split)
        assert inputs.shape == (count, 2)
        assert labels.tolist() == [int(row) % 3 for row in inputs[:, 0]]
        rows += inputs[:, 0].tolist()
    assert sorted(rows) == list(range(50))
    assert rows != sorted(rows)


def test_dtypes_and_scale_of_bytes():
    images = np.full((3, 2, 2, 1), 255, np.uint8)
    labels = np.zeros(3, np.uint8)
    dataset = Classification.from_arrays(
        "bytes", images, labels, num_classes=1, num_validation=1, num_test=1
    )
    assert dataset.train_inputs.dtype == jnp.float32
    assert dataset.train_labels.dtype == jnp.int32
    assert float(dataset.train_inputs.max()) == 1.0


def test_a_test_split_of_its_own():
    inputs, labels = np.zeros((5, 2)), np.zeros(5, int)
    test = (np.ones((4, 2)), np.ones(4, int))
    dataset = Classification.from_arrays(
        "own", inputs, labels, num_classes=2, num_validation=2, test=test
    )
    assert dataset.train_inputs.shape == (3, 2)
    assert float(dataset.test_inputs.min()) == 1.0
    assert len(dataset.test_labels) == 4


def test_no_rows_left_to_train_on():
    with pytest.raises(ValueError, match="left to train on must be at least 1, got 0"):
        numbered(25, 10, 15)


def test_no_rows_to_test_on():
    with pytest.raises(ValueError, match="test split"):
        numbered(25, 10, 0)


def test_inputs_and_labels_must_agree():
    arrays = [jnp.zeros((4, 2)), jnp.zeros(4, int)] * 3
    Classification(*arrays, num_classes=1, name="right")
    arrays[3] = jnp.zeros(5, int)
    with pytest.raises((ValueError, TypeError)):
        Classification(*arrays, num_classes=1, name="wrong")
    arrays[2:4] = [jnp.zeros((4, 3)), jnp.zeros(4, int)]
    with pytest.raises((ValueError, TypeError)):
        Classification(*arrays, num_classes=1, name="wrong")


def test_an_unknown_split():
    with pytest.raises((ValueError, TypeError)):
        numbered().split("tests")


def test_smaller_subsets_lie_in_larger_ones():
    dataset = numbered()
    small, large = subset(dataset, 5, num_test=7), subset(dataset, 20)
    assert jnp.array_equal(small.train_inputs, large.train_inputs[:5])
    assert jnp.array_equal(small.train_labels, large.train_labels[:5])
    assert len(small.test_labels) == 7
    assert len(small.validation_labels) == 10


@pytest.mark.parametrize("count", [0, 26])
def test_a_subset_that_is_none(count):
    with pytest.raises(ValueError, match=f"has 25 rows; asked for {count}"):
        subset(numbered(), count)


def test_average_pooling(small_images):
    pooled = average_pool(small_images, 2)
    assert pooled.input_shape == (3, 3, 1)
    assert pooled.name == "small_3x3"
    image = np.asarray(small_images.test_inputs[4, :, :, 0])
    expected = [
        [image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(3)] for i in range(3)
    ]
    np.testing.assert_allclose(pooled.test_inputs[4, :, :, 0], expected, rtol=1e-6)
    assert jnp.array_equal(pooled.train_labels, small_images.train_labels)


def test_pooling_by_one_changes_nothing(small_images):
    pooled = average_pool(small_images, 1)
    assert jnp.array_equal(pooled.train_inputs, small_images.train_inputs)


def test_pooling_must_divide(small_images):
    with pytest.raises(ValueError, match="factor that divides"):
        average_pool(small_images, 4)
    with pytest.raises(ValueError, match="takes images"):
        average_pool(numbered(), 2)


def test_a_data_set_is_a_pytree(small_images):
    leaves, treedef = jax.tree.flatten(small_images)
    assert len(leaves) == 6
    assert jax.tree.unflatten(treedef, leaves).name == "small"


def test_sixteen_bits_are_scaled_too():
    images = np.array([0, 32_768, 65_535], np.uint16)[:, None]
    dataset = Classification.from_arrays(
        "deep", images, np.zeros(3, int), num_classes=1, num_validation=1, num_test=1
    )
    inputs = np.concatenate([dataset.split(s)[0] for s in ("train", "validation", "test")])
    # In the order of the fixed permutation.
    expected = images[fixed_permutation(3)] / 65_535
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)


@pytest.mark.parametrize("wrong", [2.5, -1, 3, np.nan, np.inf, "cat", 1e10, 1j])
def test_labels_that_are_no_classes(wrong):
    labels = np.array([0, 1, 2, wrong])
    with pytest.raises(ValueError, match=r"Labels of 'x' must be whole numbers"):
        Classification.from_arrays(
            "x", np.zeros((4, 2)), labels, num_classes=3, num_validation=1, num_test=1
        )


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
def test_labels_of_any_type(dtype):
    dataset = Classification.from_arrays(
        "x", np.zeros((3, 2)), np.ones(3, dtype), num_classes=2, num_validation=1, num_test=1
    )
    assert dataset.train_labels.tolist() == [1]
    assert dataset.train_labels.dtype == jnp.int32
