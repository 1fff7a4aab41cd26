import jax.numpy as jnp
import numpy as np
import pytest

from l2o.tasks import datasets
from l2o.tasks.datasets import Classification, Text, digits, images, read_images, read_text
from l2o.tasks.datasets.titles import title_of

pytestmark = pytest.mark.usefixtures("unchecked_annotations")


def test_a_data_set_by_its_name():
    named = read_images("digits")
    assert named.name == "digits"
    np.testing.assert_array_equal(named.train_inputs, digits().train_inputs)


def test_a_data_set_is_handed_on(small_images):
    assert read_images(small_images) is small_images


def test_smaller_images(monkeypatch):
    pixels = np.arange(3 * 28 * 28, dtype=np.float32).reshape(3, 28, 28, 1)
    mnist = Classification.from_arrays(
        "mnist", pixels, np.arange(3), num_classes=10, num_validation=1, num_test=1
    )
    monkeypatch.setattr(images, "mnist", lambda: mnist)
    named, pooled = read_images("mnist-14x14"), read_images(mnist, pooling=2)
    assert named.name == pooled.name == "mnist_14x14"
    assert jnp.array_equal(named.test_inputs, pooled.test_inputs)
    squares = np.asarray(mnist.test_inputs).reshape(1, 14, 2, 14, 2, 1)
    np.testing.assert_allclose(named.test_inputs, squares.mean((2, 4)), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digit",), r"^dataset must be one of digits, mnist, .*Did you mean 'digits'\?$"),
        ((5,), r"^dataset must be of type Classification, got 5\. Names are digits, mnist, "),
        ((np.zeros((2, 3)),), r"^dataset must be of type Classification, got array"),
        ((None,), r"^dataset must be of type Classification, got None\."),
    ],
)
def test_no_data_set(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_images(*arguments)


@pytest.mark.parametrize(("pooling", "message"), [(0, "least 1"), (2.0, "whole"), (4, "divides")])
def test_bad_pooling(small_images, pooling, message):
    with pytest.raises(ValueError, match=message):
        read_images(small_images, pooling=pooling)


def test_texts(small_text, monkeypatch):
    assert read_text(small_text) is small_text
    monkeypatch.setattr(datasets.text, "tiny_shakespeare", lambda: small_text)
    assert read_text("tiny-shakespeare") is small_text
    for text, message in (("hamlet", "text must be one of"), (b"to be", "must be of type Text")):
        with pytest.raises(ValueError, match=message):
            read_text(text)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("digits", "digits"),
        ("mnist", "MNIST"),
        ("mnist_14x14", "MNIST 14 x 14"),
        ("my_own_3x12", "my_own 3 x 12"),
        ("cifar10", "CIFAR-10"),
        ("breast_cancer", "breast-cancer data"),
        ("mnist_14x14 pairs", "MNIST 14 x 14 pairs"),
        ("left of digits pairs", "left of digits pairs"),
        ("photos  of 2 cats", "photos  of 2 cats"),
    ],
)
def test_titles(name, title):
    assert title_of(name) == title


def test_all_data_have_titles(small_images):
    assert datasets.average_pool(small_images).title == "small 3 x 3"
    assert datasets.overlaid_pairs(small_images).title == "small pairs"
    assert datasets.digit_attributes(small_images).title == "small attributes"
    assert Text.from_string("tiny_shakespeare", "to be or not to be " * 9).title == "Shakespeare"
