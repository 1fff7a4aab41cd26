import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from l2o.tasks.datasets import DataError, image_folder


def write(folder, *, size=4, suffix="png"):
    """Images of one grey each: their brightness tells which they are."""
    for split, count in (("train", 3), ("test", 2)):
        for number, name in enumerate(("cat", "ant")):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                grey = np.full((size, size, 3), 100 * number + 10 * index, np.uint8)
                Image.fromarray(grey).save(folder / split / name / f"{index}.{suffix}")
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("L2O_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def check(dataset):
    assert dataset.num_classes == 2
    assert dataset.train_inputs.shape == (5, 4, 4, 3)
    # Classes in alphabetical order: "ant", the brighter one, is 0.
    for split, count in (("train", 5), ("validation", 1), ("test", 4)):
        inputs, labels = dataset.split(split)
        brightness = np.round(np.asarray(inputs).mean((1, 2, 3)) * 255)
        assert len(labels) == count
        assert labels.tolist() == [int(b < 100) for b in brightness]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_folder(tmp_path, suffix):
    folder = write(tmp_path / "animals", suffix=suffix)
    dataset = image_folder(folder, num_validation=1)
    check(dataset)
    assert dataset.name == "animals"


@pytest.mark.parametrize("root", ["", "./", "animals/"])
def test_an_archive(tmp_path, root):
    folder = write(tmp_path / "animals")
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        for path in sorted(folder.rglob("*.png"), reverse=True):
            archive.add(path, root + path.relative_to(folder).as_posix())
    dataset = image_folder(tmp_path / "archive.tar.gz", num_validation=1)
    check(dataset)
    np.testing.assert_array_equal(
        dataset.train_inputs, image_folder(folder, num_validation=1).train_inputs
    )


def test_images_are_decoded_once(tmp_path, cache, monkeypatch):
    folder = write(tmp_path / "animals")
    first = image_folder(folder, num_validation=1)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(Image, "open", None)
    again = image_folder(folder, num_validation=1)
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)


def test_a_change_of_time_alone_is_seen(tmp_path, cache):
    folder = write(tmp_path / "animals")
    image_folder(folder, num_validation=1)
    os.utime(folder / "train" / "cat" / "0.png", ns=(1, 1))
    image_folder(folder, num_validation=1)
    assert len(list(cache.iterdir())) == 2


def test_a_change_is_seen(tmp_path, cache):
    folder = write(tmp_path / "animals")
    image_folder(folder, num_validation=1)
    white = np.full((4, 4, 3), 255, np.uint8)
    for path in folder.rglob("*.png"):
        Image.fromarray(white).save(path)
    assert float(image_folder(folder, num_validation=1).train_inputs.min()) == 1.0
    assert len(list(cache.iterdir())) == 2


def test_a_damaged_cache_is_made_anew(tmp_path, cache):
    folder = write(tmp_path / "animals")
    image_folder(folder, num_validation=1)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    check(image_folder(folder, num_validation=1))
    assert file.stat().st_size > 50


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, cache):
    cache.touch()
    folder = write(tmp_path / "animals")
    with pytest.warns(UserWarning, match="L2O_CACHE"):
        check(image_folder(folder, num_validation=1))


def test_missing(tmp_path):
    with pytest.raises(DataError, match="is missing"):
        image_folder(tmp_path / "nothing", num_validation=1)


def test_a_split_without_images(tmp_path):
    folder = write(tmp_path / "animals")
    for path in (folder / "test").rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"in test/<class>/ .* got 0 images"):
        image_folder(folder, num_validation=1)


def test_images_of_several_sizes(tmp_path):
    folder = write(tmp_path / "animals")
    Image.new("RGB", (5, 5)).save(folder / "train" / "cat" / "odd.png")
    with pytest.raises(DataError, match=r"of sizes \[\(4, 4\), \(5, 5\)\]"):
        image_folder(folder, num_validation=1)


def test_a_damaged_image(tmp_path):
    folder = write(tmp_path / "animals")
    (folder / "train" / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train/cat/0\.png cannot be decoded"):
        image_folder(folder, num_validation=1)


def test_a_damaged_archive(tmp_path):
    (tmp_path / "archive.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        image_folder(tmp_path / "archive.tar.gz", num_validation=1)


def test_too_few_images(tmp_path):
    folder = write(tmp_path / "animals")
    with pytest.raises(DataError, match="6 training images"):
        image_folder(folder, num_validation=6)
