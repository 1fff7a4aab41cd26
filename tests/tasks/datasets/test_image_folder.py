import io
import os
import struct
import tarfile
import zlib

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


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", ""])
def test_archives_damaged_anywhere(tmp_path, compression):
    """Each way of compressing has errors of its own."""
    folder = write(tmp_path / "animals")
    path = tmp_path / f"archive.tar.{compression}"
    with tarfile.open(path, f"w:{compression}") as archive:
        archive.add(folder, "animals")
    good = path.read_bytes()
    for start in range(0, len(good), len(good) // 12):
        path.write_bytes(good[:start] + b"\xa5" * 40 + good[start + 40 :])
        try:
            image_folder(path, num_validation=1)
        except DataError:
            continue
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError):
        image_folder(path, num_validation=1)


def test_caches_damaged_anywhere(tmp_path, cache):
    folder = write(tmp_path / "animals")
    image_folder(folder, num_validation=1)
    (file,) = cache.iterdir()
    good = file.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(good)
        for place in generator.integers(0, len(good), 5):
            damaged[place] = generator.integers(256)
        file.write_bytes(damaged)
        check(image_folder(folder, num_validation=1))
    # Sound, but of something else.
    np.savez(file, num_classes=2)
    check(image_folder(folder, num_validation=1))


def png(width, height):
    """A PNG file that claims to be of this size."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize("size", [11_000, 60_000])
def test_images_that_would_fill_the_memory(tmp_path, size):
    folder = write(tmp_path / "animals")
    (folder / "train" / "cat" / "0.png").write_bytes(png(size, size))
    with pytest.raises(DataError, match=r"cat/0\.png cannot be decoded .*decompression bomb"):
        image_folder(folder, num_validation=1)


def test_other_formats_are_no_images(tmp_path):
    folder = write(tmp_path / "animals")
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "bmp")
    (folder / "train" / "cat" / "0.png").write_bytes(content.getvalue())
    with pytest.raises(DataError, match="cannot be decoded"):
        image_folder(folder, num_validation=1)


def test_images_of_sixteen_bits_are_rounded_to_eight(tmp_path):
    folder = tmp_path / "grey"
    greys = [0, 128, 129, 257, 32_768, 65_534, 65_535]
    for split in ("train", "test"):
        (folder / split / "cat").mkdir(parents=True)
        for index in range(2):
            pixels = np.array([greys], np.uint16)
            Image.fromarray(pixels).save(folder / split / "cat" / f"{index}.png")
    dataset = image_folder(folder, num_validation=1)
    bytes_ = np.asarray(dataset.train_inputs) * 255
    expected = [round(grey * 255 / 65_535) for grey in greys]
    np.testing.assert_allclose(bytes_[0, 0, :, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(bytes_[..., 0], bytes_[..., 2])


def test_only_images_are_read(tmp_path, monkeypatch):
    folder = write(tmp_path / "animals")
    (folder / "train" / "cat" / "notes.txt").write_text("x")
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "animals")
    read, extract = [], tarfile.TarFile.extractfile
    monkeypatch.setattr(
        tarfile.TarFile,
        "extractfile",
        lambda self, member: read.append(member.name) or extract(self, member),
    )
    check(image_folder(path, num_validation=1))
    assert len(read) == 10
