"""MNIST."""

from pathlib import Path

import numpy as np

from l2o.tasks.datasets.classification import Classification
from l2o.tasks.datasets.folders import DataError, data_folder, first_existing
from l2o.tasks.datasets.idx import read_idx


def mnist(folder: str | Path | None = None, *, num_validation: int = 5000) -> Classification:
    """Handwritten digits, 60,000 to train on and 10,000 for testing, of 28 x 28 pixels.

    The four files with their canonical names, compressed (`.gz`) or not, are looked for in
    `folder/mnist`, in `folder/MNIST/raw` (the layout of torchvision) and in `folder` itself.

    **Arguments:** `folder`, by default the one that `L2O_DATA` names; `num_validation`, how many
    of the training images are set aside for validation, by the library's fixed permutation.

    **Returns:** the data set, with inputs `(rows, 28, 28, 1)` in [0, 1].

    **Raises:** `DataError` if a file is missing or corrupt.

    Source: LeCun, Bottou, Bengio and Haffner (1998).
    """
    folder = data_folder() if folder is None else Path(folder)
    train, test = (_read(folder, part) for part in ("train", "t10k"))
    if len(train[1]) <= num_validation:
        raise DataError(
            f"MNIST in {folder} has {len(train[1])} training images, no more than the "
            f"{num_validation} to set aside for validation."
        )
    return Classification.from_arrays(
        "mnist", *train, num_classes=10, num_validation=num_validation, test=test
    )


def _read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `(rows, height, width, 1)` and labels of one part, `train` or `t10k`."""
    paths = []
    for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        places = (folder / "mnist", folder / "MNIST" / "raw", folder)
        candidates = [place / file for place in places for file in (f"{name}.gz", name)]
        paths.append(first_existing(f"The MNIST file {name}", candidates))
    images, labels = (read_idx(path) for path in paths)
    if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise DataError(
            f"Expected byte images (rows, height, width) in {paths[0]} and one label each in "
            f"{paths[1]}, got {images.dtype} {images.shape} and {labels.shape}."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() <= 9:
        raise DataError(f"Expected labels from 0 to 9 in {paths[1]}, got {labels.max()}.")
    return images[..., None], labels
