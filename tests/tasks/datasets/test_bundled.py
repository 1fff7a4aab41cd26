import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, make_moons

from l2o.tasks.datasets import breast_cancer, digits, two_moons


def rows(inputs, labels):
    """Rows with their labels, for comparison whatever their order."""
    return sorted((*map(float, x), int(y)) for x, y in zip(inputs, labels, strict=True))


def all_rows(dataset):
    parts = [dataset.split(name) for name in ("train", "validation", "test")]
    inputs = np.concatenate([np.asarray(x).reshape(len(x), -1) for x, _ in parts])
    return inputs, np.concatenate([np.asarray(y) for _, y in parts])


def test_digits():
    dataset = digits()
    assert dataset.train_inputs.shape == (1000, 8, 8, 1)
    assert dataset.validation_labels.shape == (397,)
    assert dataset.test_labels.shape == (400,)
    inputs, labels = all_rows(dataset)
    data = load_digits()
    assert rows(inputs * 16, labels) == rows(data.data, data.target)


def test_digits_are_the_same_every_time():
    assert jnp.array_equal(digits().train_inputs, digits().train_inputs)


def test_every_split_of_the_digits_has_every_class():
    dataset = digits()
    for split in ("train", "validation", "test"):
        assert set(dataset.split(split)[1].tolist()) == set(range(10))


def test_breast_cancer_is_standardised_on_the_train_split_alone():
    dataset = breast_cancer()
    assert dataset.train_inputs.shape == (369, 30)
    assert dataset.test_inputs.shape == (100, 30)
    np.testing.assert_allclose(dataset.train_inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train_inputs.std(0), 1, rtol=1e-5)
    assert float(jnp.abs(dataset.test_inputs.mean(0)).max()) > 1e-3
    # An affine map of each feature: ranks are those of the original.
    inputs, labels = all_rows(dataset)
    assert labels.sum() == load_breast_cancer().target.sum()
    first = np.sort(load_breast_cancer().data[:, 0])
    assert np.corrcoef(np.sort(inputs[:, 0]), first)[0, 1] > 1 - 1e-9


def test_two_moons_are_those_of_the_paper():
    dataset = two_moons()
    points, labels = make_moons(n_samples=1024, shuffle=True, noise=0.1, random_state=0)
    np.testing.assert_allclose(dataset.train_inputs, points, rtol=1e-6)
    np.testing.assert_array_equal(dataset.train_labels, labels)
    assert not jnp.array_equal(dataset.train_inputs, dataset.test_inputs)
