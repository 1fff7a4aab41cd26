"""Layers of coordinate-wise networks, with a backward pass written out by hand.

A layer works on arrays of shape (rows, coordinates): one column a coordinate. Automatic
differentiation of `__call__` is always right; `forward` and `backward` are there for the
meta-gradient (`l2o.metatraining._coordinate_gradient`), where it would be several times slower.
`forward` multiplies everything out that does not depend on the cotangent, so that `backward` is
matrix products and a few multiplications, each reading its operand once; XLA for CPUs turns such
loops into vector instructions, and more tangled ones not.
"""

import abc
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

State = PyTree[Float[Array, "_ coordinates"]]


class Rows(eqx.Module):
    """Arrays to be stored row under row and read back as one array.

    Joining them up in the step itself would cost more than the arithmetic that made them.
    """

    parts: tuple[Float[Array, "_ coordinates"], ...]

    def __init__(self, *parts: Float[Array, "_ coordinates"]) -> None:
        self.parts = parts


Record = PyTree[Rows]
"""What `forward` notes down for `backward`."""

Replay = PyTree[Float[Array, "_ coordinates"]]
"""What `backward` gets back of it: the record, with one array in place of every `Rows`."""


class Layer(eqx.Module):
    """A map of rows to rows, coordinate by coordinate, that may keep a state."""

    def init_state(self, count: int) -> State:
        """The state for `count` coordinates before the first step; none by default."""
        del count
        return ()

    def __call__(
        self, inputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple[Float[Array, "outputs coordinates"], State]:
        """One step: outputs and the new state."""
        outputs, state, _ = self.forward(inputs, state)
        return outputs, state

    @abc.abstractmethod
    def forward(
        self, inputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple[Float[Array, "outputs coordinates"], State, Record]:
        """One step, and the record that `backward` needs of it."""

    @abc.abstractmethod
    def backward(
        self, replay: Replay, outputs: Float[Array, "outputs coordinates"], state: State
    ) -> tuple["Layer", Float[Array, "inputs coordinates"], State]:
        """The transposed derivative of one step.

        **Arguments:** `replay`, the record of the step; `outputs` and `state`, cotangents of the
        step's outputs and new state.

        **Returns:** the gradient with respect to the layer's weights, summed over coordinates
        (a layer that holds gradients), and the cotangents of inputs and old state.
        """


class Linear(Layer):
    """`weight @ inputs + bias`."""

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"]

    def __init__(self, num_inputs: int, num_outputs: int, *, key: PRNGKeyArray) -> None:
        self.weight = fan_in_normal(key, (num_outputs, num_inputs))
        self.bias = jnp.zeros(num_outputs)

    def forward(
        self, inputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple[Float[Array, "outputs coordinates"], State, Record]:
        """Applies the affine map."""
        return self.weight @ inputs + self.bias[:, None], state, (Rows(inputs),)

    def backward(
        self, replay: Replay, outputs: Float[Array, "outputs coordinates"], state: State
    ) -> tuple["Linear", Float[Array, "inputs coordinates"], State]:
        """Transposes the affine map."""
        (inputs,) = replay
        weights = (outputs @ inputs.T, jnp.sum(outputs, axis=1))
        gradient = eqx.tree_at(lambda layer: (layer.weight, layer.bias), self, weights)
        return gradient, self.weight.T @ outputs, state


_FUNCTIONS = {"elu": jax.nn.elu, "tanh": jnp.tanh}


class Elementwise(Layer):
    """A function of one number, by its name, applied to every element."""

    function: Literal["elu", "tanh"] = eqx.field(static=True)

    def forward(
        self, inputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple[Float[Array, "inputs coordinates"], State, Record]:
        """Applies the function and notes its slope."""
        function = _FUNCTIONS[self.function]
        outputs, slope = jax.jvp(function, (inputs,), (jnp.ones_like(inputs),))
        return outputs, state, (Rows(slope),)

    def backward(
        self, replay: Replay, outputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple["Elementwise", Float[Array, "inputs coordinates"], State]:
        """Multiplies with the slope."""
        (slope,) = replay
        return self, slope * outputs, state


class Scale(Layer):
    """A constant factor."""

    factor: float = eqx.field(static=True)

    def forward(
        self, inputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple[Float[Array, "inputs coordinates"], State, Record]:
        """Multiplies with the factor."""
        return self.factor * inputs, state, ()

    def backward(
        self, replay: Replay, outputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple["Scale", Float[Array, "inputs coordinates"], State]:
        """Multiplies with the factor."""
        del replay
        return self, self.factor * outputs, state


class Chain(Layer):
    """Layers one after another."""

    layers: tuple[Layer, ...]

    def init_state(self, count: int) -> State:
        """The states of all layers."""
        return tuple(layer.init_state(count) for layer in self.layers)

    def forward(
        self, inputs: Float[Array, "inputs coordinates"], state: State
    ) -> tuple[Float[Array, "outputs coordinates"], State, Record]:
        """Runs the layers in order; the record is theirs, nested."""
        states, records = [], []
        for layer, layer_state in zip(self.layers, state, strict=True):
            inputs, layer_state, record = layer.forward(inputs, layer_state)
            states.append(layer_state)
            records.append(record)
        return inputs, tuple(states), tuple(records)

    def backward(
        self, replay: Replay, outputs: Float[Array, "outputs coordinates"], state: State
    ) -> tuple["Chain", Float[Array, "inputs coordinates"], State]:
        """Runs the layers' backward passes in reverse order."""
        gradients, states = [], []
        for layer, part, layer_state in zip(
            reversed(self.layers), reversed(replay), reversed(state), strict=True
        ):
            gradient, outputs, layer_state = layer.backward(part, outputs, layer_state)
            gradients.append(gradient)
            states.append(layer_state)
        gradient = eqx.tree_at(lambda chain: chain.layers, self, tuple(reversed(gradients)))
        return gradient, outputs, tuple(reversed(states))


def fan_in_normal(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "outputs inputs"]:
    """Normal weights of variance one over the number of inputs, for a matrix (outputs, inputs)."""
    return jax.random.normal(key, shape) / jnp.sqrt(shape[1])
