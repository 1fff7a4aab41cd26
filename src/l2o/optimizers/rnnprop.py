"""RNNProp, the recurrent optimizer on Adam's features of Lv et al. 2017."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.optimizers import settings
from l2o.optimizers.cells import LSTM
from l2o.optimizers.features import Moments, adam_features
from l2o.optimizers.layers import Chain, Elementwise, Layer, Linear, Scale
from l2o.optimizers.recurrent import RecurrentOptimizer
from l2o.support.keys import check_key


class RNNProp(RecurrentOptimizer):
    """RNNProp: two LSTM layers on Adam's direction and the scaled gradient.

    The update is at most `max_step` a step and coordinate. With the default sizes it has 6,641
    meta-parameters. Source: *Learning Gradient Descent: Better Generalization and Longer
    Horizons*, Lv, Jiang & Li, ICML 2017, in the form of the public code of *Training Stronger
    Baselines for Learning to Optimize*, Chen et al., NeurIPS 2020.

    **Arguments:**

    - `hidden_size`: Units in each layer.
    - `decay`: Decay rate of both moment averages, at least 0 and below 1.
    - `max_step`: Largest update of a parameter in one step.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.

    ```pycon
    >>> optimizer = l2o.optimizers.RNNProp(hidden_size=4, max_step=0.01, key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((2, 3))}
    >>> updates, state = optimizer.update(params, optimizer.init(params))
    >>> bool(jnp.all(jnp.abs(updates["weight"]) <= 0.01))
    True
    ```
    """

    network: Layer
    hidden_size: int = eqx.field(static=True)
    decay: float = eqx.field(static=True)
    max_step: float = eqx.field(static=True)

    def __init__(
        self,
        hidden_size: int = 20,
        decay: float = 0.95,
        max_step: float = 0.01,
        *,
        key: PRNGKeyArray,
    ) -> None:
        self.hidden_size = hidden_size = settings.size("hidden_size", hidden_size)
        self.decay = settings.decay("decay", decay)
        self.max_step = max_step = settings.factor("max_step", max_step)
        check_key(key)
        dense, first, second, readout = jax.random.split(key, 4)
        self.network = Chain(
            (
                Linear(2, hidden_size, key=dense),
                Elementwise("elu"),
                LSTM(hidden_size, hidden_size, key=first),
                LSTM(hidden_size, hidden_size, key=second),
                Linear(hidden_size, 1, key=readout),
                Elementwise("tanh"),
                Scale(max_step),
            )
        )

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "hidden_size": self.hidden_size,
            "decay": self.decay,
            "max_step": self.max_step,
        }

    def init_accumulators(self, count: int) -> Moments:
        """Zeros."""
        return Moments(jnp.zeros(count), jnp.zeros(count))

    def features(
        self, gradient: Float[Array, " coordinates"], accumulators: Moments, step: Int[Array, ""]
    ) -> tuple[Float[Array, "2 coordinates"], Moments]:
        """Adam's direction and the gradient, both over the root of the second moment."""
        return adam_features(gradient, accumulators, step, self.decay)
