"""Labelled data with named splits, and ways to make it smaller."""

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from l2o.support.checks import check_at_least, check_choice
from l2o.tasks.datasets.titles import title_of

Split = Literal["train", "validation", "test"]
"""The name of a split."""

JudgeOn = Literal["validation", "test"]
"""The split for held-out metrics: validation for all choices, test for the final word."""

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Classification(eqx.Module):
    """Labelled inputs in three fixed splits.

    Inputs are single-precision arrays of vectors `(rows, features)` or images
    `(rows, height, width, channels)`; labels count from 0.

    ```pycon
    >>> data = l2o.tasks.datasets.digits()
    >>> data.num_classes, data.test_labels.shape
    (10, (400,))
    ```
    """

    train_inputs: Float[Array, " train *shape"]
    train_labels: Int[Array, " train"]
    validation_inputs: Float[Array, " validation *shape"]
    validation_labels: Int[Array, " validation"]
    test_inputs: Float[Array, " test *shape"]
    test_labels: Int[Array, " test"]
    num_classes: int = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        for split in _SPLITS:
            inputs, labels = self.split(split)
            if labels.shape != inputs.shape[:1] or labels.size == 0:
                raise ValueError(
                    f"The {split} split of {self.name!r} must have one label a row and at least "
                    f"one row, got inputs {inputs.shape} and labels {labels.shape}."
                )
            if not jnp.issubdtype(labels.dtype, jnp.integer):
                raise ValueError(
                    f"The labels of {self.name!r} must be whole numbers, got {labels.dtype} in "
                    f"{split}."
                )
            if inputs.shape[1:] != self.input_shape:
                raise ValueError(
                    f"All splits of {self.name!r} must have inputs of one shape, got "
                    f"{self.input_shape} in train and {inputs.shape[1:]} in {split}."
                )

    @classmethod
    def from_arrays(
        cls,
        name: str,
        inputs: Shaped[np.ndarray, " rows *shape"],
        labels: Shaped[np.ndarray, " rows"],
        *,
        num_classes: int,
        num_validation: int,
        num_test: int = 0,
        test: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "Classification":
        """Splits arrays by a permutation that depends on the number of rows alone.

        In the permuted order, the first rows are for training, the next `num_validation` for
        validation and the last `num_test` for testing.

        **Arguments:** `name`; `inputs`, images of 8 or 16 bits (unsigned integers, divided by the
        largest there is) or other numbers (taken as they are); `labels`, one class a row, from 0;
        `num_classes`; the sizes of the splits, in rows; `test`, inputs and labels of a test split
        of its own, instead of `num_test`.

        **Returns:** the data set, on the device.

        **Raises:** `ValueError` if no row is left to train on, or no row is there to test on, and
        for labels that are none of the classes.
        """
        num_train = len(inputs) - num_validation - num_test
        check_at_least(f"the number of rows of {name!r} left to train on", num_train, 1)
        order = fixed_permutation(len(inputs))
        rows = np.split(order, [num_train, num_train + num_validation])
        parts = [(inputs[part], labels[part]) for part in rows]
        if test is not None:
            parts[2] = test
        return cls.from_splits(name, parts, num_classes=num_classes)

    @classmethod
    def from_splits(
        cls, name: str, splits: Sequence[tuple[np.ndarray, np.ndarray]], *, num_classes: int
    ) -> "Classification":
        """Takes splits as they are.

        **Arguments:** `name`; `splits`, inputs and labels to train on, for validation and for
        testing, as for `from_arrays`; `num_classes`.

        **Returns:** the data set, on the device.

        **Raises:** `ValueError` for labels that are none of the classes.
        """
        arrays = []
        for inputs, labels in splits:
            arrays += [_as_inputs(inputs), _as_labels(labels, num_classes, name)]
        return cls(*arrays, num_classes=num_classes, name=name)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self.train_inputs.shape[1:]

    @property
    def title(self) -> str:
        """The name in a text."""
        return title_of(self.name)

    def split(self, name: Split) -> tuple[Float[Array, " rows *shape"], Int[Array, " rows"]]:
        """The inputs and labels of a split, by its name."""
        check_choice("split", name, _SPLITS)
        return getattr(self, f"{name}_inputs"), getattr(self, f"{name}_labels")


def fixed_permutation(count: int) -> Int[np.ndarray, " count"]:
    """The permutation of `count` rows that all splits of this library use.

    It sorts the raw output of the PCG64 bit generator, which NumPy keeps the same for ever,
    unlike `Generator.permutation`.
    """
    return np.argsort(np.random.PCG64(0).random_raw(count), kind="stable")


def subset(
    dataset: Classification,
    num_train: int,
    *,
    num_validation: int | None = None,
    num_test: int | None = None,
) -> Classification:
    """The first rows of each split, for the low-data regime.

    Rows are in the fixed random order of the data set, so that smaller subsets lie in larger
    ones; classes are as balanced as chance makes them.

    **Arguments:** `dataset`; how many rows of each split to keep, all of it where `None`.

    **Returns:** the smaller data set, under the same name.

    **Raises:** `ValueError` if a split has fewer rows than asked for, or less than one is asked
    for.

    ```pycon
    >>> l2o.tasks.datasets.subset(l2o.tasks.datasets.digits(), num_train=100).train_inputs.shape
    (100, 8, 8, 1)
    ```
    """
    arrays = []
    counts = (num_train, num_validation, num_test)
    for split, count in zip(_SPLITS, counts, strict=True):
        inputs, labels = dataset.split(split)
        count = len(labels) if count is None else count
        if not 1 <= count <= len(labels):
            raise ValueError(
                f"The {split} split of {dataset.name!r} has {len(labels)} rows; asked for {count}."
            )
        arrays += [inputs[:count], labels[:count]]
    return Classification(*arrays, num_classes=dataset.num_classes, name=dataset.name)


def average_pool(dataset: Classification, factor: int = 2) -> Classification:
    """Shrinks images by averaging squares of `factor` x `factor` pixels: MNIST to 14 x 14.

    **Arguments:** `dataset` of images `(rows, height, width, channels)`; `factor`, a divisor of
    their height and width.

    **Returns:** the data set with smaller images, its name saying their size.

    **Raises:** `ValueError` if the inputs are no images or `factor` divides them not.

    ```pycon
    >>> l2o.tasks.datasets.average_pool(l2o.tasks.datasets.digits(), factor=2).train_inputs.shape
    (1000, 4, 4, 1)
    ```
    """
    shape = dataset.input_shape
    if len(shape) != 3 or factor < 1 or shape[0] % factor or shape[1] % factor:
        raise ValueError(
            "average_pool takes images (height, width, channels) and a factor that divides "
            f"height and width, got {shape} and {factor}."
        )
    height, width, channels = shape[0] // factor, shape[1] // factor, shape[2]

    def pool(images: Array) -> Array:
        squares = images.reshape(len(images), height, factor, width, factor, channels)
        return squares.mean((2, 4))

    return Classification(
        pool(dataset.train_inputs),
        dataset.train_labels,
        pool(dataset.validation_inputs),
        dataset.validation_labels,
        pool(dataset.test_inputs),
        dataset.test_labels,
        num_classes=dataset.num_classes,
        name=f"{dataset.name}_{height}x{width}",
    )


def _as_inputs(inputs: np.ndarray) -> Float[Array, "..."]:
    """Inputs on the device in single precision, images scaled to [0, 1]."""
    scaled = inputs.astype(np.float32)
    is_image = inputs.dtype in (np.uint8, np.uint16)
    return jnp.asarray(scaled / np.float32(np.iinfo(inputs.dtype).max) if is_image else scaled)


def _as_labels(labels: np.ndarray, num_classes: int, name: str) -> Int[Array, " rows"]:
    """Labels on the device, if they are whole numbers from 0 to the number of classes."""
    if labels.dtype.kind not in "buif":
        raise ValueError(f"Labels of {name!r} must be whole numbers, got {labels.dtype}.")
    wrong = ~((labels >= 0) & (labels < num_classes) & (np.floor(labels) == labels))
    if wrong.any():
        raise ValueError(
            f"Labels of {name!r} must be whole numbers from 0 to {num_classes - 1}, got "
            f"{labels[wrong][0]}."
        )
    return jnp.asarray(labels.astype(np.int32))
