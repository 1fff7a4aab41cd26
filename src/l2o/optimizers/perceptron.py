"""A small network for every number of a tensor."""

import functools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

# Numbers of weights up to which a layer is written out.
_LARGEST_SUM = 256


class Perceptron(eqx.Module):
    """Dense layers with ReLU between them, for every number of a tensor.

    Units are arrays of their own, and products of small layers are written out as sums of them,
    which XLA compiles to one loop over the numbers of a tensor. A product of matrices reads and
    writes every unit of every number, and takes several times as long for a few units; for many,
    the sums take minutes to compile.
    """

    weights: tuple[Float[Array, "outputs inputs"], ...]
    biases: tuple[Float[Array, " outputs"], ...]

    def __init__(self, sizes: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        """Weights are normal with variance one over the number of inputs, without the tails.

        **Arguments:** `sizes`, of the inputs, the hidden layers and the outputs; `key`.
        """
        keys = jax.random.split(key, len(sizes) - 1)
        self.weights = tuple(
            jax.random.truncated_normal(key, -2, 2, (outputs, inputs)) / jnp.sqrt(inputs)
            for key, inputs, outputs in zip(keys, sizes[:-1], sizes[1:], strict=True)
        )
        self.biases = tuple(jnp.zeros(size) for size in sizes[1:])

    def __call__(
        self,
        features: Sequence[Float[Array, "..."]],
        constant: Float[Array, " constant"] | None = None,
    ) -> list[Float[Array, "..."]]:
        """Applies the network to every number.

        **Arguments:** `features`, arrays whose shapes are broadcast; the first few inputs alone
        are taken as if the others were zero; `constant`, the last inputs, the same for all numbers.

        **Returns:** the outputs.
        """
        weight, bias = self.weights[0], self.biases[0]
        if constant is not None:
            bias = bias + weight[:, weight.shape[1] - constant.size :] @ constant
        units = _affine(weight, bias, features)
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            units = _affine(weight, bias, [jax.nn.relu(unit) for unit in units])
        return units


def _affine(
    weight: Float[Array, "outputs inputs"],
    bias: Float[Array, " outputs"],
    units: Sequence[Float[Array, "..."]],
) -> list[Float[Array, "..."]]:
    """A dense layer; the first few inputs alone are taken as if the others were zero."""
    weight = weight[:, : len(units)]
    if weight.size <= _LARGEST_SUM:
        return _written_out(weight, bias, tuple(jnp.broadcast_arrays(*units)))
    return list(_product(weight, units) + bias.reshape(-1, *[1] * units[0].ndim))


@jax.custom_jvp
def _written_out(
    weight: Float[Array, "outputs inputs"],
    bias: Float[Array, " outputs"],
    units: tuple[Float[Array, "..."], ...],
) -> list[Float[Array, "..."]]:
    return [
        functools.reduce(
            jnp.add, (factor * unit for factor, unit in zip(row, units, strict=True)), start
        )
        for row, start in zip(weight, bias, strict=True)
    ]


@_written_out.defjvp
def _written_out_jvp(
    primals: tuple[Array, Array, tuple[Array, ...]],
    tangents: tuple[Array, Array, tuple[Array, ...]],
) -> tuple[list[Array], list[Array]]:
    """Derivatives are products of matrices: written out, they take minutes to compile."""
    weight, _, units = primals
    of_weight, of_bias, of_units = tangents
    tangent = _product(of_weight, units) + _product(weight, of_units)
    return _written_out(*primals), list(tangent + of_bias.reshape(-1, *[1] * units[0].ndim))


def _product(
    weight: Float[Array, "outputs inputs"], units: Sequence[Float[Array, "..."]]
) -> Float[Array, "outputs ..."]:
    return jnp.tensordot(weight, jnp.stack(jnp.broadcast_arrays(*units)), 1)
