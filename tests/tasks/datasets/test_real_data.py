"""Checks on the real files, where `L2O_DATA` names a folder that holds them."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from l2o.tasks.datasets import average_pool, mnist, tiny_shakespeare

FOLDER = Path(os.environ.get("L2O_DATA") or "nowhere")


@pytest.mark.skipif(not (FOLDER / "mnist").is_dir(), reason="L2O_DATA has no mnist/")
def test_mnist():
    dataset = mnist()
    assert dataset.train_inputs.shape == (55000, 28, 28, 1)
    assert dataset.validation_inputs.shape == (5000, 28, 28, 1)
    assert dataset.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # The well-known mean of the 60,000 training images.
    total = dataset.train_inputs.mean() * 55 + dataset.validation_inputs.mean() * 5
    assert float(total / 60) == pytest.approx(0.1307, abs=1e-4)
    counts = np.bincount(np.concatenate([dataset.train_labels, dataset.validation_labels]))
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert average_pool(dataset).input_shape == (14, 14, 1)


@pytest.mark.skipif(
    not (FOLDER / "tinyshakespeare.txt").is_file(), reason="L2O_DATA has no tinyshakespeare.txt"
)
def test_tiny_shakespeare():
    text = tiny_shakespeare()
    assert len(text.vocabulary) == 65
    assert len(text.train) + len(text.validation) + len(text.test) == 1115394
    characters = np.array(list(text.vocabulary))
    whole = "".join(
        "".join(characters[np.asarray(text.split(s))]) for s in ("train", "validation", "test")
    )
    original = (FOLDER / "tinyshakespeare.txt").read_bytes()
    assert hashlib.sha256(whole.encode()).digest() == hashlib.sha256(original).digest()
