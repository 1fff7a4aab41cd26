"""Neural networks as functions of explicit parameters, so that the parameters can be optimized."""

import abc
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.support.checks import LARGEST_LOG_SCALE, check_choice, check_number, check_size
from l2o.support.words import in_words
from l2o.tasks.task import Params

Activation = Literal["relu", "sigmoid", "tanh", "gelu", "silu"]
"""The name of an activation function."""

Layers = tuple[tuple[Float[Array, "_ _"], Float[Array, " _"]], ...]
"""The parameters of a multilayer perceptron: a weight `(inputs, outputs)` and a bias a layer."""

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
}

# The variance of a weight times its number of inputs. Activations that drop negative inputs
# halve the signal's power, which the factor 2 of He et al. (2015) makes up for.
_GAINS: dict[str, float] = {"relu": 2.0, "sigmoid": 1.0, "tanh": 1.0, "gelu": 2.0, "silu": 2.0}


class Network(eqx.Module):
    """A network without its parameters: how to draw them, and what they compute."""

    @property
    def title(self) -> str:
        """The network in a few words; by default the class's name."""
        return in_words(type(self).__name__)

    @abc.abstractmethod
    def init(self, key: PRNGKeyArray) -> Params:
        """Draws parameters."""

    @abc.abstractmethod
    def __call__(
        self, params: Params, inputs: Float[Array, " batch *shape"]
    ) -> Float[Array, "batch outputs"]:
        """The outputs for a batch of inputs."""


class MLP(Network):
    """A multilayer perceptron; its parameters are a tuple of `(weight, bias)`, one a layer.

    Inputs of any shape are flattened; the last layer is linear. Without further arguments,
    weights are normal with variance 1 / inputs (LeCun et al. 1998), or 2 / inputs in hidden
    layers before a relu, gelu or silu (He et al. 2015), and biases are zero.

    **Arguments:**

    - `sizes`: the number of inputs, of units of each hidden layer, and of outputs.
    - `activation`: of the hidden units. Several names leave the choice to `activation_index`.
    - `init_std`: draw weights and biases normal with this standard deviation instead; 0.01 is
      what the optimizees of Open-L2O use.
    - `activation_index`: which of several activations to use. A batch of tasks computes all of
      them and selects.
    - `init_scale`: a factor on all initial parameters.
    - `unit_masks`: for each hidden layer, 1 for units that are there and 0 for those that are
      not, so that networks of different widths have parameters of the same shapes. Parameters of
      missing units have no effect and no gradient.

    **Raises:** `ValueError` for an unknown activation, or sizes less than 1.

    ```pycon
    >>> network = l2o.tasks.MLP((3, 4, 2), activation="tanh")
    >>> params = network.init(jax.random.key(0))
    >>> jax.tree.map(jnp.shape, params)
    (((3, 4), (4,)), ((4, 2), (2,)))
    >>> network(params, jnp.ones((5, 3))).shape
    (5, 2)
    ```
    """

    sizes: tuple[int, ...] = eqx.field(static=True)
    activation: Activation | tuple[Activation, ...] = eqx.field(static=True, default="relu")
    init_std: float | None = eqx.field(static=True, default=None)
    activation_index: Int[Array, ""] | None = None
    init_scale: Float[Array, ""] | None = None
    unit_masks: tuple[Float[Array, " _"], ...] | None = None

    def __check_init__(self) -> None:
        _check(self.sizes, self.init_std)
        for name in self.activations:
            check_choice("activation", name, _ACTIVATIONS)
        if len(self.activations) > 1 and self.activation_index is None:
            raise ValueError("Several activations need an activation_index to choose one.")
        if self.unit_masks is not None:
            widths = tuple(len(mask) for mask in self.unit_masks)
            if widths != self.sizes[1:-1]:
                raise ValueError(
                    f"unit_masks must have the sizes of the hidden layers, {self.sizes[1:-1]}, "
                    f"got {widths}."
                )

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations that there are to choose from."""
        return (self.activation,) if isinstance(self.activation, str) else self.activation

    @property
    def title(self) -> str:
        """Sizes and activations: "64-20-10 MLP (relu)"."""
        return _title(self.sizes, self.activations)

    def init(self, key: PRNGKeyArray) -> Layers:
        """Draws weights and biases."""
        scale = 1.0 if self.init_scale is None else self.init_scale
        layers = []
        keys = jax.random.split(key, len(self.sizes) - 1)
        for index, (size, key) in enumerate(zip(pairwise(self.sizes), keys, strict=True)):
            weight_key, bias_key = jax.random.split(key)
            weight = jax.random.normal(weight_key, size) * self._weight_std(index) * scale
            if self.init_std is None:
                bias = jnp.zeros(size[1], weight.dtype)
            else:
                bias = jax.random.normal(bias_key, size[1:]) * self.init_std * scale
            layers.append((weight, bias))
        return tuple(layers)

    def _weight_std(self, index: int) -> float | Float[Array, ""]:
        """The standard deviation of the initial weights of a layer."""
        if self.init_std is not None:
            return self.init_std
        inputs = self.sizes[index]
        if self.unit_masks is not None and index > 0:
            inputs = self.unit_masks[index - 1].sum()
        gains = [_GAINS[name] for name in self.activations]
        gain = (
            gains[0] if self.activation_index is None else jnp.array(gains)[self.activation_index]
        )
        is_output = index == len(self.sizes) - 2
        return jnp.sqrt((1.0 if is_output else gain) / inputs)

    def __call__(
        self, params: Layers, inputs: Float[Array, " batch *shape"]
    ) -> Float[Array, "batch outputs"]:
        """The outputs for a batch of inputs."""
        *hidden, (weight, bias) = params
        units = inputs.reshape(len(inputs), -1)
        for index, (hidden_weight, hidden_bias) in enumerate(hidden):
            units = self._activate(units @ hidden_weight + hidden_bias)
            if self.unit_masks is not None:
                units = units * self.unit_masks[index]
        return units @ weight + bias

    def _activate(self, units: Float[Array, "..."]) -> Float[Array, "..."]:
        """The activation function."""
        functions = [_ACTIVATIONS[name] for name in self.activations]
        if self.activation_index is None:
            return functions[0](units)
        return jax.lax.switch(self.activation_index, functions, units)


class MLPFamily(eqx.Module):
    """Multilayer perceptrons with random activation, widths and scale of initialisation.

    All have parameters of the same shapes, so that tasks with them can be batched. By default
    nothing is random but the activation, and that only if there are several.

    **Arguments:**

    - `sizes`: as for `MLP`; the widths are the largest ones.
    - `activations`: one of them is drawn.
    - `min_width`: the number of units of each hidden layer is uniform between this (at least 1)
      and the layer's size; `None` for layers that are always full.
    - `max_log_init_scale`: r, for a scale of initialisation exp(U(-r, r)).
    - `init_std`: as for `MLP`.

    **Raises:** `ValueError` for an unknown activation, or numbers out of range.

    ```pycon
    >>> family = l2o.tasks.MLPFamily((3, 4, 2), activations=("relu", "tanh"))
    >>> family.sample(jax.random.key(0)).sizes
    (3, 4, 2)
    ```
    """

    sizes: tuple[int, ...] = eqx.field(static=True)
    activations: tuple[Activation, ...] = eqx.field(static=True, default=("relu",))
    min_width: int | None = eqx.field(static=True, default=None)
    max_log_init_scale: float = eqx.field(static=True, default=0.0)
    init_std: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        _check(self.sizes, self.init_std)
        check_size("the number of activations", len(self.activations))
        check_number("max_log_init_scale", self.max_log_init_scale, least=0, most=LARGEST_LOG_SCALE)
        for name in self.activations:
            check_choice("activation", name, _ACTIVATIONS)
        if self.min_width is not None:
            check_size("min_width", self.min_width)
            narrowest = min(self.sizes[1:-1], default=math.inf)
            if self.min_width > narrowest:
                raise ValueError(
                    f"min_width must be at most the size of every hidden layer, {narrowest}, got "
                    f"{self.min_width}."
                )

    @property
    def title(self) -> str:
        """Largest sizes, and all activations."""
        return _title(self.sizes, self.activations)

    def sample(self, key: PRNGKeyArray) -> MLP:
        """Draws a network."""
        activation_key, scale_key, width_key = jax.random.split(key, 3)
        activation_index = init_scale = unit_masks = None
        if len(self.activations) > 1:
            activation_index = jax.random.randint(activation_key, (), 0, len(self.activations))
        if self.max_log_init_scale > 0:
            r = self.max_log_init_scale
            init_scale = jnp.exp(jax.random.uniform(scale_key, minval=-r, maxval=r))
        if self.min_width is not None:
            hidden = self.sizes[1:-1]
            keys = jax.random.split(width_key, len(hidden))
            unit_masks = tuple(
                _mask(jax.random.randint(key, (), self.min_width, size + 1), size)
                for key, size in zip(keys, hidden, strict=True)
            )
        return MLP(
            self.sizes, self.activations, self.init_std, activation_index, init_scale, unit_masks
        )


def _title(sizes: tuple[int, ...], activations: tuple[Activation, ...]) -> str:
    """A perceptron in a few words."""
    return f"{'-'.join(map(str, sizes))} MLP ({'/'.join(activations)})"


def _mask(width: Int[Array, ""], size: int) -> Float[Array, " {size}"]:
    """1 for the first `width` of `size` units, 0 for the rest."""
    return (jnp.arange(size) < width).astype(float)


def _check(sizes: tuple[int, ...], init_std: float | None) -> None:
    """Checks what a perceptron and its family have in common."""
    check_size("the number of entries of sizes", len(sizes), least=2)
    check_size("the number of inputs", sizes[0])
    for size in sizes[1:-1]:
        check_size("the size of every hidden layer", size)
    check_size("the number of outputs", sizes[-1])
    if init_std is not None:
        check_number("init_std", init_std, above=0)
