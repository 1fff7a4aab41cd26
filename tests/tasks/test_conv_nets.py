import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import filter_jit
from scipy.signal import correlate

from l2o.tasks import (
    ConvNet,
    Convolution,
    cifar_conv,
    datasets,
    four_layer_conv,
    image_mlp,
    mnist_conv,
    two_layer_conv,
)


def blank(*shape):
    """A data set of black images of this shape."""
    images, labels = np.zeros((3, *shape), np.uint8), np.zeros(3, int)
    return datasets.Classification.from_arrays(
        "blank", images, labels, num_classes=10, num_validation=1, num_test=1
    )


@pytest.mark.parametrize(
    ("make", "shape", "count", "features"),
    [
        (mnist_conv, (28, 28, 1), 18_122, 512),
        (cifar_conv, (32, 32, 3), 13_610, 32),
        (four_layer_conv, (28, 28, 1), 10_346, 256),
        (two_layer_conv, (8, 8, 1), 1_898, 64),
    ],
)
def test_parameter_counts(key, make, shape, count, features):
    task = make(blank(*shape))
    params = jax.eval_shape(task.init, key)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    assert params[-1][0].shape == (features, 10)
    inputs, _ = jax.eval_shape(task.sample, key)
    outputs = jax.eval_shape(lambda *arguments: task.network(*arguments), params, inputs)
    assert outputs.shape == (task.batch_size, 10)
    assert task.batch_size == (32 if make is four_layer_conv else 128)


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("by_patches", [False, True])
def test_outputs_agree_with_scipy(key, padding, pool, stride, by_patches):
    layers = (Convolution(3, 3, stride),)
    network = ConvNet((9, 8, 2), layers, 4, padding=padding, pool=pool, by_patches=by_patches)
    params = filter_jit(network.init)(key)
    images = jax.random.normal(key, (2, 9, 8, 2))
    outputs = network(params, images)
    (kernel, _), (weight, _) = jax.tree.map(np.asarray, params)
    for image, output in zip(np.asarray(images), outputs, strict=True):
        channels = [
            sum(correlate(image[..., i], kernel[..., i, j], mode="same") for i in range(2))
            for j in range(3)
        ]
        units = np.maximum(np.stack(channels, axis=-1), 0)
        # Where the stride begins: padding of an even side is one pixel, at its end.
        if padding == "VALID":
            units = units[1:-1:stride, 1:-1:stride]
        elif stride == 2:
            units = units[0::2, 1::2]
        if pool:
            height, width = units.shape[0] // 2, units.shape[1] // 2
            units = np.array(
                [
                    [units[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((0, 1)) for j in range(width)]
                    for i in range(height)
                ]
            )
        np.testing.assert_allclose(output, units.ravel() @ weight, rtol=1e-4, atol=1e-4)


def test_biases_and_the_relu_on_outputs(key):
    plain = ConvNet((4, 4, 1), (Convolution(2, 3, 1),), 5)
    rectified = ConvNet((4, 4, 1), (Convolution(2, 3, 1),), 5, relu_outputs=True)
    (kernel, bias), (weight, _) = filter_jit(plain.init)(key)
    output_bias = jnp.array([-1.0, 1.0, 0.0, 2.0, -2.0])
    params = ((kernel, bias + 1), (weight, output_bias))
    expected = jnp.ones(8) @ weight + output_bias
    black = jnp.zeros((1, 4, 4, 1))
    np.testing.assert_allclose(plain(params, black)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(rectified(params, black)[0], jnp.maximum(expected, 0), rtol=1e-5)


def test_initialisation(key):
    network = ConvNet((8, 8, 50), (Convolution(100, 3, 1),), 200)
    (kernel, bias), (weight, _) = filter_jit(network.init)(key)
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / 450), rel=0.02)
    assert float(weight.std()) == pytest.approx(np.sqrt(1 / 3600), rel=0.02)
    assert not bias.any()
    (kernel, bias), *_ = mnist_conv(blank(28, 28, 1), init_std=0.01).init(key)
    assert float(kernel.std()) == pytest.approx(0.01, rel=0.2)
    assert not bias.any()


def test_options_reach_the_task():
    task = cifar_conv(blank(32, 32, 3), batch_size=5, judge_on="validation")
    assert task.batch_size == 5
    assert task.judge_on == "validation"


def test_images_too_small():
    with pytest.raises(ValueError, match="too small for the convolutions"):
        mnist_conv(blank(8, 8, 1))


def test_inputs_that_are_no_images():
    with pytest.raises(ValueError, match="takes images"):
        mnist_conv(datasets.breast_cancer())
    image_mlp(datasets.breast_cancer())


def test_unknown_padding():
    with pytest.raises((ValueError, TypeError)):
        ConvNet((4, 4, 1), (Convolution(2, 3, 1),), 5, padding="same")
