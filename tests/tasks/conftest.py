import jax
import numpy as np
import pytest

from l2o.tasks.datasets import Classification, Text


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compilation):
    """For every module here."""


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="session")
def small_images():
    """90 random images of 6 x 6 pixels in three classes."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (90, 6, 6, 1)).astype(np.uint8)
    labels = generator.integers(0, 3, 90)
    return Classification.from_arrays(
        "small", images, labels, num_classes=3, num_validation=20, num_test=30
    )


@pytest.fixture(scope="session")
def small_text():
    return Text.from_string("small", "the quick brown fox jumps over the lazy dog. " * 12)
