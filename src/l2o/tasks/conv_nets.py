"""Small convolutional networks."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_choice, check_number, check_size
from l2o.tasks.datasets import Classification, ImageSet, JudgeOn, read_images
from l2o.tasks.image_classification import (
    ImageClassification,
    ImageClassificationFamily,
    none_if_zero,
)
from l2o.tasks.networks import Network

ConvParams = tuple[tuple[Float[Array, "..."], Float[Array, " _"]], ...]
"""A kernel `(height, width, inputs, outputs)` and a bias for each convolution, then the weight
`(inputs, outputs)` and bias of the linear layer."""


ConvNetName = Literal["mnist-conv", "cifar-conv", "four-layer-conv", "two-layer-conv"]
"""The name of a convolutional network."""


class Convolution(NamedTuple):
    """One convolution: its output channels, the side of its square kernel, and its stride.

    ```pycon
    >>> l2o.tasks.Convolution(channels=4, kernel=3, stride=2)
    Convolution(channels=4, kernel=3, stride=2)
    ```
    """

    channels: int
    kernel: int
    stride: int


class ConvNet(Network):
    """Convolutions with ReLU, each followed by max-pooling or not, and a linear layer.

    By default weights are normal with variance 2 / inputs (He et al. 2015), those of the linear
    layer with variance 1 / inputs; biases are zero.

    **Arguments:**

    - `input_shape`: height, width and channels of an image.
    - `convolutions`: one or more.
    - `num_outputs`: logits.
    - `padding`: "VALID" for none, "SAME" for as much as keeps the size.
    - `pool`: whether each convolution is followed by max-pooling over 2 x 2 pixels, an odd last
      row or column being dropped.
    - `relu_outputs`: whether the outputs go through a ReLU, too.
    - `init_std`: the standard deviation of all weights, instead of the above.
    - `by_patches`: whether to compute convolutions as products of patches of the image with the
      kernel, which gives the same numbers up to rounding. On a CPU it is several times faster where
      many small networks run side by side, which XLA makes slow grouped convolutions.

    **Raises:** `ValueError` for numbers out of range, and if the image is too small for the
    convolutions.

    ```pycon
    >>> layers = (l2o.tasks.Convolution(channels=4, kernel=3, stride=2),)
    >>> network = l2o.tasks.ConvNet((8, 8, 1), layers, num_outputs=10)
    >>> params = network.init(jax.random.key(0))
    >>> network(params, jnp.ones((5, 8, 8, 1))).shape
    (5, 10)
    ```
    """

    input_shape: tuple[int, int, int] = eqx.field(static=True)
    convolutions: tuple[Convolution, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    padding: Literal["VALID", "SAME"] = eqx.field(static=True, default="VALID")
    pool: bool = eqx.field(static=True, default=False)
    relu_outputs: bool = eqx.field(static=True, default=False)
    init_std: float | None = eqx.field(static=True, default=None)
    by_patches: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        check_choice("padding", self.padding, ("VALID", "SAME"))
        check_size("num_outputs", self.num_outputs)
        check_size("the number of convolutions", len(self.convolutions))
        for convolution in self.convolutions:
            for name, value in convolution._asdict().items():
                check_size(f"{name} of every convolution", value)
        if self.init_std is not None:
            check_number("init_std", self.init_std, above=0)
        if self._num_features() < 1:
            raise ValueError(
                f"Images of shape {self.input_shape} are too small for the convolutions "
                f"{self.convolutions}."
            )

    @property
    def title(self) -> str:
        """The name, if it is one of this module's networks; otherwise the channels."""
        mine = tuple(getattr(self, field) for field in _Architecture._fields)
        for name, architecture in _ARCHITECTURES.items():
            if mine == architecture:
                return f"{name} network"
        channels = "-".join(str(convolution.channels) for convolution in self.convolutions)
        return f"{channels} convolutional network"

    def _num_features(self) -> int:
        """How many numbers the last convolution gives for an image; 0 if none are left."""
        height, width, channels = self.input_shape
        sides = [height, width]
        for convolution in self.convolutions:
            lost = 0 if self.padding == "SAME" else convolution.kernel - 1
            sides = [max(0, -(-(side - lost) // convolution.stride)) for side in sides]
            sides = [side // 2 for side in sides] if self.pool else sides
            channels = convolution.channels
        return sides[0] * sides[1] * channels

    def init(self, key: PRNGKeyArray) -> ConvParams:
        """Draws kernels, weights and biases."""
        shapes: list[tuple[int, ...]] = []
        channels = self.input_shape[2]
        for convolution in self.convolutions:
            side = convolution.kernel
            shapes.append((side, side, channels, convolution.channels))
            channels = convolution.channels
        shapes.append((self._num_features(), self.num_outputs))
        layers = []
        for shape, layer_key in zip(shapes, jax.random.split(key, len(shapes)), strict=True):
            gain = 2.0 if len(shape) == 4 else 1.0
            inputs = jnp.prod(jnp.array(shape[:-1]))
            std = jnp.sqrt(gain / inputs) if self.init_std is None else self.init_std
            layers.append((jax.random.normal(layer_key, shape) * std, jnp.zeros(shape[-1])))
        return tuple(layers)

    def __call__(
        self, params: ConvParams, inputs: Float[Array, " batch *shape"]
    ) -> Float[Array, "batch outputs"]:
        """The outputs for a batch of images."""
        *convolutional, (weight, bias) = params
        images = inputs
        for (kernel, kernel_bias), convolution in zip(
            convolutional, self.convolutions, strict=True
        ):
            convolve = _convolve_by_patches if self.by_patches else _convolve
            images = convolve(images, kernel, convolution.stride, self.padding)
            images = jax.nn.relu(images + kernel_bias)
            images = _max_pool(images) if self.pool else images
        outputs = images.reshape(len(images), -1) @ weight + bias
        return jax.nn.relu(outputs) if self.relu_outputs else outputs


def _convolve(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "side side channels outputs"],
    stride: int,
    padding: Literal["VALID", "SAME"],
) -> Float[Array, "batch new_height new_width outputs"]:
    """The convolution as XLA has it."""
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _convolve_by_patches(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "side side channels outputs"],
    stride: int,
    padding: Literal["VALID", "SAME"],
) -> Float[Array, "batch new_height new_width outputs"]:
    """The same: what each pixel of the kernel meets, side by side, times all of the kernel."""
    side = len(kernel)
    _, *sizes, _ = images.shape
    pads = jax.lax.padtype_to_pads(sizes, (side, side), (stride, stride), padding)
    images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    rows, columns = ((size - side) // stride + 1 for size in images.shape[1:3])
    last_row, last_column = (rows - 1) * stride + 1, (columns - 1) * stride + 1
    patches = jnp.concatenate(
        [
            images[:, row : row + last_row : stride, column : column + last_column : stride]
            for row in range(side)
            for column in range(side)
        ],
        axis=-1,
    )
    return patches @ kernel.reshape(-1, kernel.shape[-1])


def _max_pool(
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch half_height half_width channels"]:
    """The maximum over squares of 2 x 2 pixels.

    Written with a reshape: its derivatives are much faster on CPU than those of a window
    reduction. Where pixels tie, they share the gradient.
    """
    batch, height, width, channels = images.shape
    half_height, half_width = height // 2, width // 2
    images = images[:, : 2 * half_height, : 2 * half_width]
    return images.reshape(batch, half_height, 2, half_width, 2, channels).max((2, 4))


class _Architecture(NamedTuple):
    """What a `ConvNet` is, for whatever images and classes."""

    convolutions: tuple[Convolution, ...]
    padding: Literal["VALID", "SAME"] = "VALID"
    pool: bool = False
    relu_outputs: bool = False
    by_patches: bool = False

    def network(self, dataset: Classification, init_std: float | None = None) -> ConvNet:
        """The network for a data set of images."""
        shape = dataset.input_shape
        if len(shape) != 3:
            raise ValueError(
                "A convolutional network takes images (height, width, channels); the inputs of "
                f"{dataset.name!r} have shape {shape}."
            )
        outputs = dataset.num_classes
        return ConvNet(shape, num_outputs=outputs, init_std=init_std, **self._asdict())


_ARCHITECTURES: dict[str, _Architecture] = {
    "mnist-conv": _Architecture(
        (Convolution(16, 3, 1), Convolution(32, 5, 1)), pool=True, relu_outputs=True
    ),
    "cifar-conv": _Architecture(
        (Convolution(16, 3, 2), Convolution(32, 5, 2)), pool=True, relu_outputs=True
    ),
    "four-layer-conv": _Architecture(
        (Convolution(32, 5, 2), Convolution(16, 3, 2), Convolution(16, 3, 2)), "SAME"
    ),
    "two-layer-conv": _Architecture(
        (Convolution(8, 3, 2), Convolution(16, 3, 2)), "SAME", by_patches=True
    ),
}


def mnist_conv(
    dataset: Classification, *, init_std: float | None = None, **options: Any
) -> ImageClassification:
    """The network "mnist_conv" of Open-L2O: 18,122 parameters for MNIST.

    A convolution of 16 channels, 3 x 3, and one of 32 channels, 5 x 5, without padding, each with
    ReLU and max-pooling; the logits go through a ReLU as well. Open-L2O has batch normalisation
    before each ReLU, which its evaluation of L2O-Scale runs with fixed statistics of mean 0 and
    variance 1, that is as the identity up to a factor 0.9995, and whose own parameters are not
    optimized: here it is left out.

    **Arguments:** `dataset` of images; `init_std`, as for `ConvNet` (0.01 in Open-L2O); further
    `options`, as for `ImageClassification`.
    """
    network = _ARCHITECTURES["mnist-conv"].network(dataset, init_std)
    return ImageClassification(dataset, network, **options)


def cifar_conv(
    dataset: Classification, *, init_std: float | None = None, **options: Any
) -> ImageClassification:
    """The network "cifar_conv" of Open-L2O: 13,610 parameters for CIFAR-10.

    As `mnist_conv`, but both convolutions have stride 2.

    **Arguments:** as for `mnist_conv`.
    """
    network = _ARCHITECTURES["cifar-conv"].network(dataset, init_std)
    return ImageClassification(dataset, network, **options)


def four_layer_conv(
    dataset: Classification, *, batch_size: int = 32, **options: Any
) -> ImageClassification:
    """Three padded convolutions of stride 2 and a linear layer: 10,346 parameters for MNIST.

    Channels 32, 16 and 16; kernels 5 x 5, 3 x 3 and 3 x 3; ReLU. It is in the history of the
    public code of Maheswaranathan et al. (2021), and presumably the four-layer network that they
    train on MNIST.

    **Arguments:** `dataset` of images; `batch_size`, 32 as in that code; further `options`, as for
    `ImageClassification`.
    """
    network = _ARCHITECTURES["four-layer-conv"].network(dataset)
    return ImageClassification(dataset, network, batch_size=batch_size, **options)


def two_layer_conv(dataset: Classification, **options: Any) -> ImageClassification:
    """Two padded convolutions of stride 2 and a linear layer: 1,898 parameters for digits.

    Channels 8 and 16, kernels 3 x 3, ReLU: as small as the perceptrons of the low-data studies.

    **Arguments:** `dataset` of images; further `options`, as for `ImageClassification`.

    ```pycon
    >>> task = l2o.tasks.two_layer_conv(l2o.tasks.datasets.digits())
    >>> sum(leaf.size for leaf in jax.tree.leaves(task.init(jax.random.key(0))))
    1898
    ```
    """
    network = _ARCHITECTURES["two-layer-conv"].network(dataset)
    return ImageClassification(dataset, network, **options)


def image_conv_family(
    dataset: ImageSet | Classification = "mnist",
    network: ConvNetName = "mnist-conv",
    *,
    batch_size: int = 128,
    num_train: int | None = None,
    num_held_out: int | None = None,
    weight_decay: float | None = 0.0,
    label_smoothing: float | None = 0.0,
    judge_on: JudgeOn = "test",
) -> ImageClassificationFamily:
    """Classification of images by convolutional networks, on minibatches.

    **Arguments:**

    - `dataset`: Images: digits (8 x 8, bundled); mnist, mnist-14x14 or cifar10 from the folder
      L2O_DATA.
    - `network`: mnist-conv or cifar-conv, the networks of Open-L2O, or four-layer-conv or
      two-layer-conv, which are smaller.
    - `batch_size`: Images in a minibatch.
    - `num_train`: Give every task this many random training images; by default all.
    - `num_held_out`: Hold this many random training images of every task out, for meta-losses on
      unseen examples.
    - `weight_decay`: Factor of half the squared 2-norm of the parameters in the training loss.
    - `label_smoothing`: Share of each label that is spread over all classes in the training loss.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for an unknown name, numbers out of range and images that are too small
    for the network; `DataError` if the images are missing.

    ```pycon
    >>> family = l2o.tasks.image_conv_family("digits", "two-layer-conv")
    >>> task = family.sample(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(task.init(jax.random.key(1))))
    1898
    ```
    """
    check_choice("network", network, _ARCHITECTURES)
    images = read_images(dataset)
    return ImageClassificationFamily(
        images,
        _ARCHITECTURES[network].network(images),
        num_train,
        num_held_out,
        batch_size,
        judge_on=judge_on,
        weight_decay=none_if_zero(weight_decay),
        label_smoothing=none_if_zero(label_smoothing),
    )
