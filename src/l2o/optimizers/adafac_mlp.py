"""AdafacMLP, the small network on Adafactor's features of Metz et al. 2022."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.optimizers import settings
from l2o.optimizers.adafac_features import (
    AdafacState,
    factors,
    init_adafac,
    moments_of_axes,
    update_adafac,
)
from l2o.optimizers.layout import Group, Layout
from l2o.optimizers.parameters import bounded
from l2o.optimizers.perceptron import Perceptron
from l2o.optimizers.tensorwise import TensorwiseOptimizer
from l2o.support.keys import check_key

_DECAYS = (0.9, 0.99, 0.999)
_SQUARE_DECAY = 0.999
_NUM_FEATURES = 28
_TIMES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5)
_STEP_SIZE = 1e-3
_MAGNITUDE_FACTOR = 1e-3
_SMALLEST = 1e-5


class AdafacMLP(TensorwiseOptimizer):
    """A small network on 28 features of each number, normalised for each tensor, and 11 of time.

    Features are the gradient, the parameter, moving averages at three time scales, second moments
    in full and factored into rows and columns, and ratios of these; two outputs make the update
    `-1e-3 d exp(1e-3 mu)`. Decay rates are meta-parameters, too, 7 beside the network's 190 with
    the default size; with 32 units there are 2,409 in all. Source: *Practical tradeoffs between
    memory, compute, and performance in learned optimizers*, Metz et al., CoLLAs 2022 (`small_fc`),
    as in the public code of google/learned_optimization (`AdafacMLPLOpt`).

    The features of time end at 1e5 steps, and what it does beyond the horizon that it was
    meta-trained for, nothing holds in bounds.

    ```pycon
    >>> rule = l2o.optimizers.AdafacMLP(key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
    >>> updates, state = rule.update(params, rule.init(params), params)
    >>> updates["weight"].shape
    (3, 2)
    ```

    **Arguments:**

    - `hidden_size`: Units of each of two hidden layers.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.
    """

    network: Perceptron
    average_decays: Float[Array, " 3"]
    """Of the moving averages: `1 - (1 - b) exp(10 x)` for `x` here and b = 0.9, 0.99, 0.999."""
    square_decays: Float[Array, " 1"]
    """Of the second moment, in the same way, about 0.999."""
    factored_decays: Float[Array, " 3"]
    """Of the factored second moments, about 0.9, 0.99, 0.999."""
    hidden_size: int = eqx.field(static=True)

    def __init__(self, hidden_size: int = 4, *, key: PRNGKeyArray) -> None:
        self.hidden_size = settings.size("hidden_size", hidden_size)
        check_key(key)
        inputs = _NUM_FEATURES + len(_TIMES)
        self.network = Perceptron((inputs, hidden_size, hidden_size, 2), key=key)
        self.average_decays = jnp.zeros(len(_DECAYS))
        self.square_decays = jnp.zeros(1)
        self.factored_decays = jnp.zeros(len(_DECAYS))

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {"hidden_size": self.hidden_size}

    def init_tensors(self, params: tuple[Group, ...], layout: Layout) -> AdafacState:
        """No gradient so far."""
        return init_adafac(params, layout)

    def step(
        self,
        gradients: tuple[Group, ...],
        state: AdafacState,
        params: tuple[Group, ...],
        step: Int[Array, ""],
        layout: Layout,
    ) -> tuple[tuple[Group, ...], AdafacState]:
        """One step of the rule."""
        gradients = tuple(map(bounded, gradients))
        dtype = state.mean_squares.dtype
        state = update_adafac(
            state,
            gradients,
            layout,
            _decays(_DECAYS, self.average_decays, dtype),
            jnp.clip(_decays((_SQUARE_DECAY,), self.square_decays, dtype)[0], 0, 1),
            _decays(_DECAYS, self.factored_decays, dtype),
        )
        gradient, averages = layout.join(gradients), state.averages
        root = jax.lax.rsqrt(state.mean_squares + 1e-6)
        features = [gradient, layout.join(params), *averages, state.mean_squares]
        features += [*(averages * root), root]
        features += [gradient * factor for factor in factors(state, layout, 1e-9)]
        of_averages = factors(state, layout, 1e-6)
        inputs = [layout.normalized(feature, _SMALLEST) for feature in features]
        inputs += moments_of_axes(state, layout, None, _SMALLEST, of_vectors=True)
        inputs += [
            layout.normalized(average * factor, _SMALLEST)
            for average, factor in zip(averages, of_averages, strict=True)
        ]
        direction, magnitude = self.network(inputs, _time_features(step, dtype))
        update = -_STEP_SIZE * direction * jnp.exp(_MAGNITUDE_FACTOR * magnitude)
        return layout.split(update), state


def _decays(
    initial: tuple[float, ...], learned: Float[Array, " scales"], dtype: jnp.dtype
) -> Float[Array, " scales"]:
    """Decay rates of which meta-training changes the logarithm of the distance from one."""
    distances = jnp.asarray(1 - np.asarray(initial), dtype)
    return 1 - distances * jnp.exp(10 * learned.astype(dtype))


def _time_features(step: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, " 11"]:
    """`tanh(t / s - 1)` for eleven time scales from 1 to 1e5 steps."""
    return jnp.tanh(step.astype(dtype) / jnp.asarray(_TIMES, dtype) - 1)
