"""CIFAR-10."""

from pathlib import Path

import numpy as np

from l2o.tasks.datasets._image_folder import image_folder
from l2o.tasks.datasets.classification import Classification
from l2o.tasks.datasets.folders import DataError, data_folder, first_existing

# A record of the binary version is a byte for the class and the image, channels first.
_RECORD = 1 + 3 * 32 * 32


def cifar10(folder: str | Path | None = None, *, num_validation: int = 5000) -> Classification:
    """Photographs of ten kinds of things, 50,000 to train on and 10,000 for testing.

    Looked for in this order:

    - `folder/cifar-10-batches-bin/`, the binary version of the authors;
    - `folder/cifar10-jpg.tar.gz`, `train/` and `test/` with one folder of JPEGs a class;
    - `folder/cifar10/`, the same as a folder, JPEG or PNG.

    Decoding 60,000 JPEGs takes half a minute; they are kept decoded in `cache_folder()`. The
    pickles of the Python version are not read, since reading a pickle can run any code.

    **Arguments:** `folder`, by default the one that `L2O_DATA` names; `num_validation`, how many
    of the training images are set aside for validation, by the library's fixed permutation.

    **Returns:** the data set, with inputs `(rows, 32, 32, 3)` in [0, 1] and classes in
    alphabetical order, which is also the authors' order.

    **Raises:** `DataError` if the data are missing or corrupt.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """
    folder = data_folder() if folder is None else Path(folder)
    binary = folder / "cifar-10-batches-bin"
    path = first_existing("CIFAR-10", [binary, folder / "cifar10-jpg.tar.gz", folder / "cifar10"])
    if path != binary:
        return image_folder(path, "cifar10", num_validation=num_validation)
    parts = [_read(binary / f"data_batch_{number}.bin") for number in range(1, 6)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if len(labels) <= num_validation:
        raise DataError(
            f"{binary} has {len(labels)} training images, no more than the {num_validation} to "
            "set aside for validation."
        )
    return Classification.from_arrays(
        "cifar10",
        images,
        labels,
        num_classes=10,
        num_validation=num_validation,
        test=_read(binary / "test_batch.bin"),
    )


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images `(rows, 32, 32, 3)` and labels of one file of the binary version."""
    content = np.fromfile(first_existing("The CIFAR-10 file", [path]), np.uint8)
    if content.size == 0 or content.size % _RECORD:
        raise DataError(
            f"{path} should be a whole number of records of {_RECORD} bytes, but has "
            f"{content.size} bytes."
        )
    records = content.reshape(-1, _RECORD)
    labels = records[:, 0]
    if labels.max() > 9:
        raise DataError(f"Expected labels from 0 to 9 in {path}, got {labels.max()}.")
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
