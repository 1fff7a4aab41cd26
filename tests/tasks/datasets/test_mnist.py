import gzip
import struct

import numpy as np
import pytest

from l2o.tasks.datasets import DataError, mnist


def idx(array):
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def write(folder, *, compress=True, images=12, labels=12, largest=9):
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        arrays = {
            "images-idx3": np.arange(images * 6, dtype=np.uint8).reshape(images, 2, 3),
            "labels-idx1": (np.arange(labels) % (largest + 1)).astype(np.uint8),
        }
        for name, array in arrays.items():
            content, suffix = idx(array), ".gz" if compress else ""
            path = folder / f"{part}-{name}-ubyte{suffix}"
            path.write_bytes(gzip.compress(content) if compress else content)


@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "."])
@pytest.mark.parametrize("compress", [False, True])
def test_the_layouts_that_are_found(tmp_path, place, compress):
    write(tmp_path / place, compress=compress)
    dataset = mnist(tmp_path, num_validation=4)
    assert dataset.train_inputs.shape == (8, 2, 3, 1)
    assert dataset.validation_labels.shape == (4,)
    # The test split is in the order of the file.
    np.testing.assert_allclose(
        np.asarray(dataset.test_inputs).ravel() * 255, np.arange(72), rtol=1e-6
    )
    assert dataset.test_labels.tolist() == [*range(10), 0, 1]


def test_images_keep_their_labels(tmp_path):
    write(tmp_path)
    dataset = mnist(tmp_path, num_validation=4)
    rows = np.round(np.asarray(dataset.train_inputs)[:, 0, 0, 0] * 255 / 6).astype(int)
    assert dataset.train_labels.tolist() == [row % 10 for row in rows]


def test_the_folder_of_the_environment(monkeypatch, tmp_path):
    write(tmp_path / "mnist")
    monkeypatch.setenv("L2O_DATA", str(tmp_path))
    assert mnist(num_validation=1).name == "mnist"


def test_missing(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is missing.*L2O_DATA"):
        mnist(tmp_path)


def test_one_file_missing(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing"):
        mnist(tmp_path)


def test_labels_that_do_not_fit(tmp_path):
    write(tmp_path, labels=11)
    with pytest.raises(DataError, match="one label each"):
        mnist(tmp_path)


def test_labels_out_of_range(tmp_path):
    write(tmp_path, largest=10)
    with pytest.raises(DataError, match="labels from 0 to 9"):
        mnist(tmp_path)


def test_too_few_images(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="12 training images"):
        mnist(tmp_path)
