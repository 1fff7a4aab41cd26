import numpy as np
import pytest

from l2o.tasks.datasets import DataError, cifar10


def write(folder, rows=4):
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    files = {}
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        labels = generator.integers(0, 10, rows).astype(np.uint8)
        images = generator.integers(0, 256, (rows, 3, 32, 32)).astype(np.uint8)
        records = np.concatenate([labels[:, None], images.reshape(rows, -1)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
        files[name] = labels, images
    return files


def test_the_binary_version(tmp_path):
    files = write(tmp_path / "cifar-10-batches-bin")
    dataset = cifar10(tmp_path, num_validation=5)
    assert dataset.train_inputs.shape == (15, 32, 32, 3)
    labels, images = files["test_batch"]
    assert dataset.test_labels.tolist() == labels.tolist()
    np.testing.assert_allclose(dataset.test_inputs[2, 3, 5, 1] * 255, images[2, 1, 3, 5], rtol=1e-6)


def test_a_file_cut_short(tmp_path):
    write(tmp_path / "cifar-10-batches-bin")
    path = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="whole number of records of 3073 bytes"):
        cifar10(tmp_path)


def test_labels_out_of_range(tmp_path):
    write(tmp_path / "cifar-10-batches-bin")
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(b"\x0a" * 3073)
    with pytest.raises(DataError, match="labels from 0 to 9"):
        cifar10(tmp_path, num_validation=5)


def test_a_file_missing(tmp_path):
    write(tmp_path / "cifar-10-batches-bin")
    (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_2\.bin"):
        cifar10(tmp_path)


def test_too_few_images(tmp_path):
    write(tmp_path / "cifar-10-batches-bin")
    with pytest.raises(DataError, match="20 training images"):
        cifar10(tmp_path)


def test_missing(tmp_path):
    with pytest.raises(DataError, match=r"cifar10-jpg\.tar\.gz.*L2O_DATA"):
        cifar10(tmp_path)
