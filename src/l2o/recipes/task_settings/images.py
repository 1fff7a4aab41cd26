"""Settings of networks that classify images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from l2o.recipes.task_settings.base import JudgeOn, TaskSettings
from l2o.recipes.task_settings.data import (
    Activation,
    Dataset,
    dataset_title,
    network_title,
    read_images,
)

if TYPE_CHECKING:
    from l2o.tasks import TaskFamily


@dataclass(frozen=True)
class ImageMLP(TaskSettings):
    """Classification of images by multilayer perceptrons, on minibatches."""

    dataset: Dataset = "digits"
    """Images: digits (8 x 8, bundled); mnist, mnist-14x14 or cifar10 from the folder L2O_DATA."""
    hidden: tuple[int, ...] = (20,)
    """Units of each hidden layer; the most there can be, with --min-width."""
    activations: tuple[Activation, ...] = ("relu",)
    """Activation of the hidden units; one of them is drawn for each task."""
    batch_size: int = 128
    """Images in a minibatch."""
    init_std: float | None = None
    """Standard deviation of all initial parameters; by default it depends on layer sizes."""
    min_width: int | None = None
    """Draw each hidden layer's units from here on; by default all layers are full."""
    max_log_init_scale: float = 0.0
    """Scales all initial parameters of a task by exp(U(-r, r)) with this r."""
    num_train: int | None = None
    """Give every task this many random training images; by default all."""
    num_held_out: int | None = None
    """Hold this many random training images of every task out, for --held-out-loss."""
    weight_decay: float = 0.0
    """Factor of half the squared 2-norm of the parameters in the training loss."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes in the training loss."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        inputs = {"digits": 64, "mnist": 784, "mnist-14x14": 196, "cifar10": 3072}[self.dataset]
        sizes = (inputs, *self.hidden, 10)
        return f"{dataset_title(self.dataset)}, {network_title(sizes, self.activations)}"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o.tasks import image_mlp_family

        return image_mlp_family(
            read_images(self.dataset),
            self.hidden,
            self.activations,
            min_width=self.min_width,
            max_log_init_scale=self.max_log_init_scale,
            init_std=self.init_std,
            num_train=self.num_train,
            num_held_out=self.num_held_out,
            batch_size=self.batch_size,
            judge_on=judge_on,
            weight_decay=self.weight_decay or None,
            label_smoothing=self.label_smoothing or None,
        )


@dataclass(frozen=True)
class ImageConv(TaskSettings):
    """Classification of images by convolutional networks, on minibatches."""

    dataset: Dataset = "mnist"
    """Images: digits (8 x 8, bundled); mnist, mnist-14x14 or cifar10 from the folder L2O_DATA."""
    network: Literal["mnist-conv", "cifar-conv", "four-layer-conv", "two-layer-conv"] = "mnist-conv"
    """The network (see l2o.tasks)."""
    batch_size: int = 128
    """Images in a minibatch."""
    num_train: int | None = None
    """Give every task this many random training images; by default all."""
    num_held_out: int | None = None
    """Hold this many random training images of every task out, for --held-out-loss."""
    weight_decay: float = 0.0
    """Factor of half the squared 2-norm of the parameters in the training loss."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes in the training loss."""

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{dataset_title(self.dataset)}, {self.network} network"

    def _family(self, judge_on: JudgeOn) -> "TaskFamily":
        from l2o import tasks

        builders = {
            "mnist-conv": tasks.mnist_conv,
            "cifar-conv": tasks.cifar_conv,
            "four-layer-conv": tasks.four_layer_conv,
            "two-layer-conv": tasks.two_layer_conv,
        }
        task = builders[self.network](read_images(self.dataset))
        return tasks.ImageClassificationFamily(
            task.dataset,
            task.network,
            self.num_train,
            self.num_held_out,
            self.batch_size,
            judge_on=judge_on,
            weight_decay=self.weight_decay or None,
            label_smoothing=self.label_smoothing or None,
        )
