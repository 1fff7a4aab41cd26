"""L2O-DM, the coordinate-wise LSTM optimizer of Andrychowicz et al. 2016."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.optimizers import settings
from l2o.optimizers.cells import LSTM
from l2o.optimizers.features import log_and_sign
from l2o.optimizers.layers import Chain, Layer, Linear, Scale
from l2o.optimizers.recurrent import RecurrentOptimizer
from l2o.support.keys import check_key


class DM(RecurrentOptimizer):
    """L2O-DM: two LSTM layers on the logarithm and sign of the gradient.

    The update is 0.01 times a linear read-out. With the default sizes it has 5,141
    meta-parameters. Source: *Learning to learn by gradient descent by gradient descent*,
    Andrychowicz et al., NeurIPS 2016, in the form of the public code of *Training Stronger
    Baselines for Learning to Optimize*, Chen et al., NeurIPS 2020.

    **Arguments:**

    - `hidden_size`: Units in each layer.
    - `steepness`: Orders of magnitude, base e, that the logarithm of the gradient resolves; at most
      80.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.

    ```pycon
    >>> optimizer = l2o.optimizers.DM(hidden_size=4, key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((2, 3))}
    >>> updates, state = optimizer.update(params, optimizer.init(params))
    >>> updates["weight"].shape
    (2, 3)
    ```
    """

    network: Layer
    hidden_size: int = eqx.field(static=True)
    steepness: float = eqx.field(static=True)

    def __init__(self, hidden_size: int = 20, steepness: float = 5.0, *, key: PRNGKeyArray) -> None:
        self.hidden_size = hidden_size = settings.size("hidden_size", hidden_size)
        self.steepness = settings.steepness("steepness", steepness)
        check_key(key)
        first, second, readout = jax.random.split(key, 3)
        self.network = Chain(
            (
                LSTM(2, hidden_size, key=first),
                LSTM(hidden_size, hidden_size, key=second),
                Linear(hidden_size, 1, key=readout),
                Scale(0.01),
            )
        )

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return "L2O-DM"

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {"hidden_size": self.hidden_size, "steepness": self.steepness}

    def features(
        self, gradient: Float[Array, " coordinates"], accumulators: tuple[()], step: Int[Array, ""]
    ) -> tuple[Float[Array, "2 coordinates"], tuple[()]]:
        """Logarithm and sign of the gradient."""
        del step
        return log_and_sign(gradient, self.steepness), accumulators
