"""Data with several targets a row, some of which may be missing, and two such sets of digits."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from l2o.support.checks import check_at_least, check_choice, check_number, check_size
from l2o.tasks.datasets.classification import Classification, Split, fixed_permutation
from l2o.tasks.datasets.titles import title_of

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Target(eqx.Module):
    """What is to be told of a row: how many outputs that takes, and how it is judged."""

    name: eqx.AbstractVar[str]

    @property
    @abc.abstractmethod
    def kind(self) -> type[np.generic]:
        """The kind of numbers that values are, of any width."""

    @property
    @abc.abstractmethod
    def num_outputs(self) -> int:
        """Outputs of a network that predicts it."""

    @abc.abstractmethod
    def is_known(self, values: Array) -> Bool[Array, " rows"]:
        """Which rows have a value."""

    @abc.abstractmethod
    def losses(self, outputs: Float[Array, "rows outputs"], values: Array) -> Float[Array, " rows"]:
        """The loss of every row, whatever it is where the value is missing."""

    def loss(self, outputs: Float[Array, "rows outputs"], values: Array) -> Float[Array, ""]:
        """The mean loss over rows with a value; 0 if there are none."""
        return _mean_over(self.is_known(values), self.losses(outputs, values))

    def metrics(
        self, outputs: Float[Array, "rows outputs"], values: Array
    ) -> dict[str, Float[Array, ""]]:
        """What to report beside the loss, over rows with a value; nothing by default."""
        del outputs, values
        return {}


class Classes(Target):
    """A class, counted from 0; -1 where it is missing. The loss is the cross-entropy, in nats.

    ```pycon
    >>> target = l2o.tasks.datasets.Classes("digit", num_classes=2)
    >>> print(f"{target.loss(jnp.zeros((1, 2)), jnp.array([1])):.3f}")
    0.693
    ```
    """

    name: str = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)

    @property
    def kind(self) -> type[np.generic]:
        """Whole numbers."""
        return np.integer

    @property
    def num_outputs(self) -> int:
        """One logit a class."""
        return self.num_classes

    def is_known(self, values: Int[Array, " rows"]) -> Bool[Array, " rows"]:
        """Where the class is not negative."""
        return values >= 0

    def losses(
        self, outputs: Float[Array, "rows outputs"], values: Int[Array, " rows"]
    ) -> Float[Array, " rows"]:
        """Cross-entropies."""
        labels = jnp.maximum(values, 0)
        return optax.losses.softmax_cross_entropy_with_integer_labels(outputs, labels)

    def metrics(
        self, outputs: Float[Array, "rows outputs"], values: Int[Array, " rows"]
    ) -> dict[str, Float[Array, ""]]:
        """The accuracy."""
        correct = (jnp.argmax(outputs, axis=1) == values).astype(outputs.dtype)
        return {"accuracy": _mean_over(self.is_known(values), correct)}


class Numbers(Target):
    """A number; not a number where it is missing. The loss is the squared error.

    ```pycon
    >>> target = l2o.tasks.datasets.Numbers("length")
    >>> float(target.loss(jnp.array([[3.0], [0.0]]), jnp.array([1.0, jnp.nan])))
    4.0
    ```
    """

    name: str = eqx.field(static=True)

    @property
    def kind(self) -> type[np.generic]:
        """Floating-point numbers."""
        return np.floating

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    def is_known(self, values: Float[Array, " rows"]) -> Bool[Array, " rows"]:
        """Where it is a number."""
        return ~jnp.isnan(values)

    def losses(
        self, outputs: Float[Array, "rows outputs"], values: Float[Array, " rows"]
    ) -> Float[Array, " rows"]:
        """Squared errors."""
        return (outputs[:, 0] - jnp.where(self.is_known(values), values, 0.0)) ** 2


class MultiTaskData(eqx.Module):
    """Inputs with several targets a row, in three fixed splits.

    ```pycon
    >>> data = l2o.tasks.datasets.digit_attributes(l2o.tasks.datasets.digits())
    >>> [target.name for target in data.targets]
    ['digit', 'ink', 'even']
    ```
    """

    inputs: dict[str, Float[Array, " rows *shape"]]
    """By split."""
    values: dict[str, tuple[Array, ...]]
    """By split: for each target, one value a row."""
    targets: tuple[Target, ...]
    name: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_at_least("the number of targets", len(self.targets), 1)
        for split in _SPLITS:
            check_choice("split", split, self.inputs)
            rows = len(self.inputs[split])
            lengths = [len(values) for values in self.values[split]]
            if rows == 0 or lengths != [rows] * len(self.targets):
                raise ValueError(
                    f"The {split} split of {self.name!r} must have one value a row for each of "
                    f"{len(self.targets)} targets, got {rows} rows and values {lengths}."
                )
            for target, values in zip(self.targets, self.values[split], strict=True):
                if not jnp.issubdtype(values.dtype, target.kind):
                    raise ValueError(
                        f"The target {target.name!r} of {self.name!r} takes values of type "
                        f"{target.kind.__name__}, got {values.dtype} in {split}."
                    )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self.inputs["train"].shape[1:]

    @property
    def title(self) -> str:
        """The name in a text."""
        return title_of(self.name)

    def split(self, name: Split) -> tuple[Float[Array, " rows *shape"], tuple[Array, ...]]:
        """Inputs and values of a split, by its name."""
        check_choice("split", name, _SPLITS)
        return self.inputs[name], self.values[name]


def overlaid_pairs(dataset: Classification, *, pairs_per_image: int = 4) -> MultiTaskData:
    """Pairs of overlapping images, each to be recognised: MultiMNIST from MNIST.

    One image lies at the upper left and another at the lower right of a canvas 9/7 of their size
    (36 x 36 for 28 x 28), and the brighter pixel wins, after Sabour et al. 2017 and Sener and
    Koltun 2018. Both images of a pair are of one split.

    **Arguments:** `dataset` of images `(rows, height, width, channels)`; `pairs_per_image`, pairs
    that each image is upper left in.

    **Returns:** the data, with the targets "left" and "right".

    **Raises:** `ValueError` if the inputs are no images, for a number below 1, and for more pairs
    than there are partners.

    ```pycon
    >>> data = l2o.tasks.datasets.overlaid_pairs(l2o.tasks.datasets.digits(), pairs_per_image=1)
    >>> [target.name for target in data.targets]
    ['left', 'right']
    ```
    """
    check_size("pairs_per_image", pairs_per_image)
    fewest = min(len(dataset.split(split)[1]) for split in _SPLITS)
    if pairs_per_image >= fewest:
        raise ValueError(
            f"pairs_per_image must be below the number of images in every split, {fewest}, got "
            f"{pairs_per_image}."
        )
    if len(dataset.input_shape) != 3:
        raise ValueError(
            f"Pairs are made of images (height, width, channels), got {dataset.input_shape}."
        )
    shifts = [round(2 * size / 7) for size in dataset.input_shape[:2]]

    def overlaid(images: Float[Array, "rows height width channels"], partner: Any) -> Array:
        first = [(0, 0), *((0, shift) for shift in shifts), (0, 0)]
        second = [(0, 0), *((shift, 0) for shift in shifts), (0, 0)]
        return jnp.maximum(jnp.pad(images, first), jnp.pad(images[partner], second))

    inputs: dict[str, Array] = {}
    values: dict[str, tuple[Array, ...]] = {}
    for split in _SPLITS:
        images, labels = dataset.split(split)
        order = fixed_permutation(len(labels))
        # No image is paired with itself: each with those that follow it in a random circle.
        partners = [
            order[(np.argsort(order) + step) % len(order)] for step in range(1, pairs_per_image + 1)
        ]
        inputs[split] = jnp.concatenate([overlaid(images, partner) for partner in partners])
        values[split] = (
            jnp.tile(labels, pairs_per_image),
            jnp.concatenate([labels[partner] for partner in partners]),
        )
    classes = dataset.num_classes
    targets = (Classes("left", classes), Classes("right", classes))
    return MultiTaskData(inputs, values, targets, f"{dataset.name} pairs")


def digit_attributes(dataset: Classification, *, missing: float = 0.75) -> MultiTaskData:
    """Three targets of very different scales, one of them mostly missing.

    They are the class; the ink, which is the sum of all pixels, with squared errors in the
    hundreds; and whether the class is even, known for a part of the training rows alone.

    **Arguments:** `dataset`; `missing`, the share of training rows without the last target, at
    least 0 and below 1.

    **Returns:** the data, with the targets "digit", "ink" and "even".

    **Raises:** `ValueError` for a share out of range.

    ```pycon
    >>> data = l2o.tasks.datasets.digit_attributes(l2o.tasks.datasets.digits(), missing=0.5)
    >>> data.input_shape
    (8, 8, 1)
    ```
    """
    check_number("missing", missing, least=0, below=1)
    inputs: dict[str, Array] = {}
    values: dict[str, tuple[Array, ...]] = {}
    for split in _SPLITS:
        images, labels = dataset.split(split)
        even = (labels % 2 == 0).astype(labels.dtype)
        if split == "train":
            without = fixed_permutation(len(labels))[: int(missing * len(labels))]
            even = even.at[without].set(-1)
        inputs[split] = images
        values[split] = (labels, jnp.sum(images.reshape(len(images), -1), axis=1), even)
    targets = (Classes("digit", dataset.num_classes), Numbers("ink"), Classes("even", 2))
    return MultiTaskData(inputs, values, targets, f"{dataset.name} attributes")


def only_target(data: MultiTaskData, name: str) -> MultiTaskData:
    """The data with one of its targets, to train a network for it alone.

    **Raises:** `ValueError` for a name that is none.

    ```pycon
    >>> data = l2o.tasks.datasets.overlaid_pairs(l2o.tasks.datasets.digits(), pairs_per_image=1)
    >>> names = [target.name for target in data.targets]
    >>> alone = l2o.tasks.datasets.only_target(data, names[0])
    >>> len(names), len(alone.targets)
    (2, 1)
    ```
    """
    names = [target.name for target in data.targets]
    check_choice("A target", name, names)
    index = names.index(name)
    return MultiTaskData(
        data.inputs,
        {split: (values[index],) for split, values in data.values.items()},
        (data.targets[index],),
        f"{name} of {data.name}",
    )


def _mean_over(known: Bool[Array, " rows"], numbers: Float[Array, " rows"]) -> Float[Array, ""]:
    count = jnp.maximum(jnp.sum(known), 1)
    return jnp.sum(jnp.where(known, numbers, 0.0)) / count.astype(numbers.dtype)
