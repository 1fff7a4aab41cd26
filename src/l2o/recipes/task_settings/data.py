"""Data sets of images and activation functions, by name."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from l2o.tasks.datasets import Classification

Dataset = Literal["digits", "mnist", "mnist-14x14", "cifar10"]
"""The name of a data set of images."""

Activation = Literal["relu", "sigmoid", "tanh", "gelu", "silu"]
"""The name of an activation function."""


def read_images(dataset: Dataset) -> "Classification":
    """The data set of this name."""
    from l2o.tasks import datasets

    match dataset:
        case "digits":
            return datasets.digits()
        case "mnist":
            return datasets.mnist()
        case "mnist-14x14":
            return datasets.average_pool(datasets.mnist())
        case "cifar10":
            return datasets.cifar10()


def dataset_title(dataset: Dataset) -> str:
    """The data set's name in a text."""
    return {
        "digits": "digits",
        "mnist": "MNIST",
        "mnist-14x14": "MNIST 14 x 14",
        "cifar10": "CIFAR-10",
    }[dataset]


def network_title(sizes: tuple[int, ...], activations: tuple[str, ...]) -> str:
    """A perceptron in a few words."""
    return f"{'-'.join(map(str, sizes))} MLP ({'/'.join(activations)})"
