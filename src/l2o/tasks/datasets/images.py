"""Data sets of images by their names."""

from collections.abc import Callable
from typing import Literal

from l2o.support.checks import check_choice, check_instance, check_size
from l2o.tasks.datasets._mnist import mnist
from l2o.tasks.datasets.bundled import digits
from l2o.tasks.datasets.cifar import cifar10
from l2o.tasks.datasets.classification import Classification, average_pool

ImageSet = Literal["digits", "mnist", "mnist-14x14", "cifar10"]
"""The name of a data set of images."""

_READERS: dict[str, Callable[[], Classification]] = {
    "digits": digits,
    "mnist": mnist,
    "mnist-14x14": lambda: average_pool(mnist()),
    "cifar10": cifar10,
}


def read_images(dataset: ImageSet | Classification, *, pooling: int = 1) -> Classification:
    """The data set of this name; one that is given as it is needs no reading.

    **Arguments:** `dataset`, "digits", which comes with scikit-learn, or "mnist", "mnist-14x14" or
    "cifar10" from the folder that `L2O_DATA` names, or a data set; `pooling`, the side of squares
    of pixels to average, as for `average_pool`.

    **Raises:** `DataError` if files are missing or corrupt; `ValueError` for an unknown name, and
    if `pooling` does not divide height and width of the images.

    ```pycon
    >>> l2o.tasks.datasets.read_images("digits", pooling=2).train_inputs.shape
    (1000, 4, 4, 1)
    ```
    """
    check_size("pooling", pooling)
    if isinstance(dataset, str):
        check_choice("dataset", dataset, _READERS)
        images = _READERS[dataset]()
    else:
        check_instance("dataset", dataset, Classification, f"Names are {', '.join(_READERS)}.")
        images = dataset
    return images if pooling == 1 else average_pool(images, pooling)
