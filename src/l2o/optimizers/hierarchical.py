"""The hierarchical recurrent optimizer L2O-Scale of Wichrowska et al. 2017."""

import math
import zlib
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from l2o.optimizers import settings
from l2o.optimizers.biased_gru import BiasedGRU
from l2o.optimizers.coordinatewise import flatten, unflatten
from l2o.optimizers.learned_optimizer import LearnedOptimizer, OptState, Updates
from l2o.optimizers.parameters import (
    bounded,
    check_count,
    check_gradients,
    check_parameters,
    with_dtypes_of,
    working_dtype,
)
from l2o.support.keys import check_key

_NUM_SCALES = 4
_NUM_FEATURES = 12
_TINY = 1e-16
_LARGEST_LOG_RATE = 33.0


class HierarchicalState(eqx.Module):
    """The state of the hierarchical optimizer; the last axis counts coordinates, or tensors."""

    step: Int[Array, ""]
    """The number of updates made."""
    averages: Float[Array, "4 coordinates"]
    """Exponential averages of the gradient, the slowest first."""
    mean_squares: Float[Array, "4 coordinates"]
    """Exponential averages of their squares."""
    average_decay: Float[Array, " coordinates"]
    """The slowest average's decay rate in the next step."""
    square_decay: Float[Array, " coordinates"]
    """The squares' decay rate in the next step."""
    log_rates: Float[Array, " coordinates"]
    """The logarithm of each coordinate's learning rate."""
    coordinate_states: Float[Array, "_ coordinates"]
    tensor_states: Float[Array, "_ tensors"]
    global_state: Float[Array, "_ 1"]


class Readouts(eqx.Module):
    """What the coordinate cell's state h and the scaled gradients decide."""

    direction: Float[Array, " hidden"]
    gradients: Float[Array, " 4"]
    """How much each of the scaled gradients counts for the direction."""
    square_decay: Float[Array, " hidden"]
    square_decay_bias: Float[Array, ""]
    average_decay: Float[Array, " hidden"]
    average_decay_bias: Float[Array, ""]
    rate_change: Float[Array, " hidden"]
    rate_change_bias: Float[Array, ""]
    rate_memory: Float[Array, ""]
    """Its logistic function is how slowly the learning rate follows its changes."""
    log_scale: Float[Array, ""]
    """The logarithm of a factor on all learning rates."""

    def __init__(self, hidden_size: int, *, key: PRNGKeyArray) -> None:
        direction_key, gradient_key, square_key, average_key = jax.random.split(key, 4)

        def weights(key: PRNGKeyArray) -> Float[Array, " hidden"]:
            return 0.5 / jnp.sqrt(hidden_size) * jax.random.normal(key, (hidden_size,))

        self.direction = weights(direction_key)
        noise = jax.random.normal(gradient_key, (_NUM_SCALES,))
        self.gradients = 1 / _NUM_SCALES + 0.1 / 2 * noise
        self.square_decay = weights(square_key)
        self.square_decay_bias = jnp.asarray(3.2, float)
        self.average_decay = weights(average_key)
        self.average_decay_bias = jnp.asarray(2.2, float)
        self.rate_change = jnp.zeros(hidden_size)
        self.rate_change_bias = jnp.asarray(0.0, float)
        self.rate_memory = jnp.asarray(3.2, float)
        self.log_scale = jnp.asarray(-1.0, float)


class Affine(eqx.Module):
    """An affine map from a cell's state to additional biases of a cell below it."""

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"]

    def __init__(self, num_inputs: int, num_outputs: int, *, key: PRNGKeyArray) -> None:
        scale = 0.5 / jnp.sqrt(num_inputs)
        self.weight = scale * jax.random.normal(key, (num_outputs, num_inputs))
        self.bias = jnp.zeros(num_outputs)

    def __call__(self, inputs: Float[Array, "inputs columns"]) -> Float[Array, "outputs columns"]:
        """Applies the map to every column."""
        return self.weight @ inputs + self.bias[:, None]


class Hierarchical(LearnedOptimizer):
    """L2O-Scale: GRUs for every coordinate, every tensor and the whole problem.

    Coordinates see twelve features of their gradients on four time scales; tensors see the mean
    of their coordinates, the problem the mean of its tensors; and each level shifts the gates of
    those below. The direction is normalised for each tensor, and the learning rates, one for each
    coordinate, are learned. With the default sizes it has 8,349 meta-parameters. Source: *Learned
    Optimizers that Scale and Generalize*, Wichrowska et al., ICML 2017, in the form of Open-L2O's
    public code, which *Learning to Generalize Provably in Learning to Optimize*, Yang et al.,
    AISTATS 2023, builds on.

    Initial learning rates are random, half of the logarithm drawn for the coordinate and half for
    the tensor. `init` takes no key: they depend on the tensors' sizes and on nothing else, so they
    are the same wherever and with whatever parameters of these sizes the optimizer begins.
    Gradients above 1e15 in magnitude count as 1e15: squares of larger ones overflow. Between 1e-6
    and 1e-2, as in the public code, rates suit runs of thousands of steps; for a hundred steps
    begin higher.

    **Arguments:**

    - `coordinate_size`: Units of the cell of each coordinate.
    - `tensor_size`: Units of the cell of each tensor.
    - `global_size`: Units of the cell of the whole problem.
    - `last_tensor_only`: The problem's cell sees the last tensor alone, as in the public code.
    - `smallest_initial_rate`: Smallest learning rate to begin with, before a learned factor that
      begins at 1/e; each tensor's is drawn at random.
    - `largest_initial_rate`: Largest learning rate to begin with, before the same factor; each
      tensor's is drawn at random.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.

    ```pycon
    >>> optimizer = l2o.optimizers.Hierarchical(4, 4, 4, key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((2, 3))}
    >>> updates, state = optimizer.update(params, optimizer.init(params))
    >>> updates["weight"].shape
    (2, 3)
    ```
    """

    coordinate_cell: BiasedGRU
    tensor_cell: BiasedGRU
    global_cell: BiasedGRU
    tensor_to_coordinate: Affine
    global_to_coordinate: Affine
    global_to_tensor: Affine
    readouts: Readouts
    coordinate_size: int = eqx.field(static=True)
    tensor_size: int = eqx.field(static=True)
    global_size: int = eqx.field(static=True)
    last_tensor_only: bool = eqx.field(static=True)
    smallest_initial_rate: float = eqx.field(static=True)
    largest_initial_rate: float = eqx.field(static=True)

    def __init__(
        self,
        coordinate_size: int = 10,
        tensor_size: int = 20,
        global_size: int = 20,
        last_tensor_only: bool = False,
        smallest_initial_rate: float = 1e-6,
        largest_initial_rate: float = 1e-2,
        *,
        key: PRNGKeyArray,
    ) -> None:
        self.coordinate_size = coordinate_size = settings.size("coordinate_size", coordinate_size)
        self.tensor_size = tensor_size = settings.size("tensor_size", tensor_size)
        self.global_size = global_size = settings.size("global_size", global_size)
        self.last_tensor_only = settings.switch("last_tensor_only", last_tensor_only)
        self.smallest_initial_rate = settings.factor("smallest_initial_rate", smallest_initial_rate)
        self.largest_initial_rate = settings.factor("largest_initial_rate", largest_initial_rate)
        if smallest_initial_rate > largest_initial_rate:
            raise ValueError(
                "smallest_initial_rate must be at most largest_initial_rate, got "
                f"{smallest_initial_rate} and {largest_initial_rate}."
            )
        check_key(key)
        keys = jax.random.split(key, 7)
        self.coordinate_cell = BiasedGRU(_NUM_FEATURES, coordinate_size, key=keys[0])
        self.tensor_cell = BiasedGRU(coordinate_size + _NUM_FEATURES, tensor_size, key=keys[1])
        self.global_cell = BiasedGRU(tensor_size, global_size, key=keys[2])
        self.tensor_to_coordinate = Affine(tensor_size, 3 * coordinate_size, key=keys[3])
        self.global_to_coordinate = Affine(global_size, 3 * coordinate_size, key=keys[4])
        self.global_to_tensor = Affine(global_size, 3 * tensor_size, key=keys[5])
        self.readouts = Readouts(coordinate_size, key=keys[6])

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "L2O-Scale"

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "coordinate_size": self.coordinate_size,
            "tensor_size": self.tensor_size,
            "global_size": self.global_size,
            "last_tensor_only": self.last_tensor_only,
            "smallest_initial_rate": self.smallest_initial_rate,
            "largest_initial_rate": self.largest_initial_rate,
        }

    def init(self, params: PyTree) -> HierarchicalState:
        """The state before the first step, in the wider precision of optimizer and parameters.

        **Raises:** `ValueError` for parameters that are no real floating-point numbers.
        """
        check_parameters(params)
        dtype = working_dtype(self, params)
        tensors = _Tensors(params)
        count = tensors.num_coordinates
        coordinate_key, tensor_key = jax.random.split(tensors.key())
        low = 0.5 * math.log(self.smallest_initial_rate)
        high = 0.5 * math.log(self.largest_initial_rate)
        # In single precision always, since other precisions draw other numbers.
        own = jax.random.uniform(coordinate_key, (count,), jnp.float32, low, high)
        shared = jax.random.uniform(tensor_key, (1, tensors.number), jnp.float32, low, high)
        return HierarchicalState(
            step=jnp.zeros((), jnp.int32),
            # Arrays of their own, so that a state can be donated.
            averages=jnp.zeros((_NUM_SCALES, count), dtype),
            mean_squares=jnp.zeros((_NUM_SCALES, count), dtype),
            average_decay=jnp.zeros(count, dtype),
            square_decay=jnp.zeros(count, dtype),
            log_rates=(own + tensors.spread(shared)[0]).astype(dtype),
            coordinate_states=self.coordinate_cell.init_state(count).astype(dtype),
            tensor_states=self.tensor_cell.init_state(tensors.number).astype(dtype),
            global_state=self.global_cell.init_state(1).astype(dtype),
        )

    def update(
        self,
        grads: PyTree,
        state: OptState,
        params: PyTree | None = None,
        *,
        value: Float[Array, "..."] | None = None,
        **extra: Any,
    ) -> tuple[Updates, HierarchicalState]:
        """One step of all three levels; only gradients are looked at.

        **Raises:** `ValueError` for gradients that are no real floating-point numbers, or of other
        shapes than the parameters.
        """
        del value, extra
        check_gradients(grads, params)
        tensors = _Tensors(grads)
        check_count(state.log_rates.size, tensors.num_coordinates)
        if tensors.number != state.tensor_states.shape[1]:
            raise ValueError(
                f"The optimizer's state is that of {state.tensor_states.shape[1]} tensors, got "
                f"gradients of {tensors.number}."
            )
        gradient = flatten(grads).astype(state.averages.dtype)
        averages, mean_squares = _average(bounded(gradient), state)
        scaled = jnp.arcsinh(averages / jnp.sqrt(mean_squares + _TINY))
        features = _features(scaled, mean_squares, state.log_rates)

        coordinate_states = self.coordinate_cell(
            features,
            state.coordinate_states,
            tensors.spread(self.tensor_to_coordinate(state.tensor_states))
            + self.global_to_coordinate(state.global_state),
        )
        tensor_states = self.tensor_cell(
            tensors.mean(jnp.concatenate([coordinate_states, features])),
            state.tensor_states,
            self.global_to_tensor(state.global_state),
        )
        seen = tensor_states[:, -1:] if self.last_tensor_only else tensor_states
        global_state = self.global_cell(
            jnp.mean(seen, axis=1, keepdims=True)
            if tensors.number
            else jnp.zeros((seen.shape[0], 1), seen.dtype),
            state.global_state,
        )

        read = self.readouts
        direction = read.direction @ coordinate_states + read.gradients @ scaled
        size = tensors.spread(jnp.sqrt(tensors.mean(direction[None] ** 2) + _TINY))[0]
        proposed = _clip_straight_through(
            state.log_rates + read.rate_change @ coordinate_states + read.rate_change_bias
        )
        memory = jax.nn.sigmoid(read.rate_memory)
        update = -jnp.exp(proposed + read.log_scale) * direction / size
        new_state = HierarchicalState(
            step=state.step + 1,
            averages=averages,
            mean_squares=mean_squares,
            average_decay=jax.nn.sigmoid(
                read.average_decay @ coordinate_states + read.average_decay_bias
            ),
            square_decay=jax.nn.sigmoid(
                read.square_decay @ coordinate_states + read.square_decay_bias
            ),
            log_rates=memory * state.log_rates + (1 - memory) * proposed,
            coordinate_states=coordinate_states,
            tensor_states=tensor_states,
            global_state=global_state,
        )
        return unflatten(update, grads), with_dtypes_of(new_state, state)


class _Tensors:
    """Which coordinates of the flattened parameters belong to which tensor; empty ones are none."""

    def __init__(self, tree: PyTree) -> None:
        sizes = [jnp.size(leaf) for leaf in jax.tree.leaves(tree)]
        self.sizes = [size for size in sizes if size]
        self.number = len(self.sizes)
        self.num_coordinates = sum(self.sizes)

    def key(self) -> PRNGKeyArray:
        """A random key that depends on the tensors' sizes alone."""
        return jax.random.key(zlib.crc32(repr(self.sizes).encode()))

    def spread(self, rows: Float[Array, "rows tensors"]) -> Float[Array, "rows coordinates"]:
        """Gives every coordinate its tensor's column."""
        # The derivative of an index would add up coordinate after coordinate.
        columns = [
            jnp.broadcast_to(rows[:, index : index + 1], (rows.shape[0], size))
            for index, size in enumerate(self.sizes)
        ]
        return jnp.concatenate([jnp.zeros((rows.shape[0], 0), rows.dtype), *columns], axis=1)

    def mean(self, rows: Float[Array, "rows coordinates"]) -> Float[Array, "rows tensors"]:
        """Averages over the coordinates of each tensor."""
        ends = np.cumsum(self.sizes)
        parts = [rows[:, end - size : end] for end, size in zip(ends, self.sizes, strict=True)]
        means = [jnp.mean(part, axis=1, keepdims=True) for part in parts]
        return jnp.concatenate([jnp.zeros((rows.shape[0], 0), rows.dtype), *means], axis=1)


def _average(
    gradient: Float[Array, " coordinates"], state: HierarchicalState
) -> tuple[Float[Array, "4 coordinates"], Float[Array, "4 coordinates"]]:
    """The new averages of the gradient and of their squares."""
    exponents = jnp.asarray(0.5 ** np.arange(_NUM_SCALES), gradient.dtype)
    # A power of zero has no derivative; the first step has no average to go on from.
    is_first = state.step == 0
    decay = jnp.where(is_first, 0.5, state.average_decay) ** exponents[:, None]
    averages = jnp.where(is_first, gradient, (1 - decay) * gradient + decay * state.averages)
    squares = averages**2
    followed = state.square_decay * state.mean_squares + (1 - state.square_decay) * (
        squares + 1e-12
    )
    return averages, jnp.where(is_first, squares, followed)


def _features(
    scaled: Float[Array, "4 coordinates"],
    mean_squares: Float[Array, "4 coordinates"],
    log_rates: Float[Array, " coordinates"],
) -> Float[Array, "12 coordinates"]:
    """Scaled gradients, products of neighbours, relative sizes and the relative learning rate."""
    sizes = jnp.log(mean_squares + _TINY)
    centred = sizes - jnp.mean(sizes, axis=0)
    # The sum over the number, since problems without coordinates have no mean.
    rates = log_rates - jnp.sum(log_rates) / max(1, log_rates.size)
    return jnp.concatenate([scaled, scaled[:-1] * scaled[1:], centred, rates[None]])


def _clip_straight_through(log_rates: Float[Array, " coordinates"]) -> Float[Array, " coordinates"]:
    """Clips, with the derivative of the identity."""
    clipped = jnp.clip(log_rates, -_LARGEST_LOG_RATE, _LARGEST_LOG_RATE)
    return log_rates + jax.lax.stop_gradient(clipped - log_rates)
