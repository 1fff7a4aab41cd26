"""Images in one folder a class, on disk or in an archive, decoded once and kept."""

import hashlib
import io
import os
import tarfile
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from l2o.tasks.datasets.classification import Classification
from l2o.tasks.datasets.folders import DataError, cache_folder

_SUFFIXES = (".jpg", ".jpeg", ".png")

# What decoding gives and the cache holds: images and labels to train on and for testing.
_Decoded = dict[str, np.ndarray]
_KEPT = {"num_classes", "train_images", "train_labels", "test_images", "test_labels"}

# How PIL calls grey images of 16 bits; the last name has more bits elsewhere than in a PNG file.
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def image_folder(
    path: str | Path, name: str | None = None, *, num_validation: int
) -> Classification:
    """Reads images from `train/<class>/` and `test/<class>/`, as torchvision's ImageFolder does.

    Classes are numbered in alphabetical order. Decoded images are kept as one `.npz` file in
    `cache_folder()`, so that only the first call is slow; changing a file makes a new one.

    **Arguments:** `path`, a folder or a tar archive of one, with JPEG or PNG images of one size;
    `name` of the data set, by default that of the path; `num_validation`, how many of the
    training images are set aside for validation, by the library's fixed permutation.

    **Returns:** the data set, with inputs `(rows, height, width, 3)` in [0, 1]; images of 16 bits a
    channel are rounded to 8.

    **Raises:** `DataError` if there are no such images, they cannot be decoded, their sizes
    differ, or no image is left to train on.
    """
    path = Path(path)
    name = name or path.name.split(".")[0]
    if not path.exists():
        raise DataError(f"{path} is missing: expected a folder or archive with train/ and test/.")
    cache = cache_folder() / f"{name}-{_fingerprint(path)}.npz"
    decoded = _load(cache)
    if decoded is None:
        decoded = _decode(path)
        _store(cache, decoded)
    num_train = len(decoded["train_labels"])
    if num_train <= num_validation:
        raise DataError(
            f"{path} has {num_train} training images, no more than the {num_validation} to set "
            "aside for validation."
        )
    return Classification.from_arrays(
        name,
        decoded["train_images"],
        decoded["train_labels"],
        num_classes=int(decoded["num_classes"]),
        num_validation=num_validation,
        test=(decoded["test_images"], decoded["test_labels"]),
    )


def _fingerprint(path: Path) -> str:
    """A short name for the present content of `path`, from names, sizes and times of change."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        status = file.stat()
        record = (str(file.resolve()), status.st_size, status.st_mtime_ns)
        digest.update(repr(record).encode())
    return digest.hexdigest()[:16]


def _load(cache: Path) -> _Decoded | None:
    """What the cache holds; nothing if it was never written or is damaged."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            decoded = dict(arrays)
    except Exception:  # Damage can make NumPy and zipfile raise anything.
        return None
    return decoded if decoded.keys() == _KEPT else None


def _store(cache: Path, decoded: _Decoded) -> None:
    """Writes the cache in one step, so that nobody ever reads half a file."""
    temporary = None
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache.parent, suffix=".npz", delete=False) as file:
            temporary = file.name
            np.savez(file, **decoded)  # pyright: ignore[reportArgumentType]
        os.replace(temporary, cache)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        warnings.warn(
            f"Decoded images could not be kept in {cache.parent} ({error}); they will be decoded "
            "again next time. Set the environment variable L2O_CACHE to a writable folder.",
            stacklevel=3,
        )


def _decode(path: Path) -> _Decoded:
    """Decodes all images of a folder or archive, in the order of their names."""
    rows: list[tuple[str, str, str, UInt8[np.ndarray, "height width 3"]]] = []
    for file, content in _files(path):
        split, label, name = Path(file).parts[-3:]
        rows.append((split, label, name, _decode_image(f"{path}: {file}", content)))
    rows.sort(key=lambda row: row[:3])
    classes = sorted({row[1] for row in rows})
    decoded: _Decoded = {"num_classes": np.asarray(len(classes))}
    for split in ("train", "test"):
        images = [image for part, _, _, image in rows if part == split]
        if not images or len({image.shape for image in images}) > 1:
            raise DataError(
                f"Expected JPEG or PNG images of one size in {split}/<class>/ of {path}, got "
                f"{len(images)} images of sizes {sorted({image.shape[:2] for image in images})}."
            )
        decoded[f"{split}_images"] = np.stack(images)
        decoded[f"{split}_labels"] = _numbers([row[1] for row in rows if row[0] == split], classes)
    return decoded


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all images; nothing of an archive is ever written to disk."""
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            name = file.relative_to(path).as_posix()
            if _is_image(name):
                yield name, file.read_bytes()
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                wanted = member.isfile() and _is_image(member.name)
                content = archive.extractfile(member) if wanted else None
                if content is not None:
                    yield member.name, content.read()
    except Exception as error:  # Every way of compressing has errors of its own.
        raise DataError(f"{path} cannot be read as a tar archive: {error}.") from error


def _is_image(name: str) -> bool:
    """Whether this is the name of an image in a folder for its class."""
    parts = Path(name).parts
    return len(parts) >= 3 and parts[-3] in ("train", "test") and name.lower().endswith(_SUFFIXES)


def _decode_image(where: str, content: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """One image as bytes of red, green and blue."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # What may be meant to fill up the memory is only warned of up to some size.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
                if image.mode not in _SIXTEEN_BITS:
                    return np.asarray(image.convert("RGB"))
                # PIL would cut all that is above 255.
                grey = np.round(np.asarray(image, np.float64) / 257).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
    except Exception as error:  # Damage can make PIL raise anything.
        raise DataError(f"{where} cannot be decoded as an image: {error}.") from error


def _numbers(names: list[str], classes: list[str]) -> Int[np.ndarray, " rows"]:
    """Class names as numbers."""
    return np.searchsorted(np.asarray(classes), np.asarray(names)).astype(np.int32)
