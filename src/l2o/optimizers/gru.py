"""The component-wise GRU optimizer of Maheswaranathan et al. 2021."""

from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.optimizers import cells, settings
from l2o.optimizers.features import log1p_and_sign
from l2o.optimizers.layers import Chain, Layer, Linear, Scale
from l2o.optimizers.recurrent import RecurrentOptimizer
from l2o.support.checks import check_choice
from l2o.support.keys import check_key


class GRU(RecurrentOptimizer):
    """A component-wise GRU with a learned initial state.

    It sees the gradient alone. A linear read-out starts at zero: before meta-training the update is
    zero. Source:
    *Reverse engineering learned optimizers reveals known and novel mechanisms*, Maheswaranathan
    et al., NeurIPS 2021, and its public code.

    **Arguments:**

    - `hidden_size`: Units of the GRU; 256 in the paper.
    - `input_features`: The gradient itself (raw), or its logarithm ln(1 + |g|) and sign (log).
    - `input_scale`: Factor on the gradient.
    - `output_scale`: Factor on the update.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.

    ```pycon
    >>> optimizer = l2o.optimizers.GRU(hidden_size=4, key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((2, 3))}
    >>> updates, state = optimizer.update(params, optimizer.init(params))
    >>> updates["weight"].shape
    (2, 3)
    ```
    """

    network: Layer
    hidden_size: int = eqx.field(static=True)
    input_features: Literal["raw", "log"] = eqx.field(static=True)
    input_scale: float = eqx.field(static=True)
    output_scale: float = eqx.field(static=True)

    def __init__(
        self,
        hidden_size: int = 64,
        input_features: Literal["raw", "log"] = "raw",
        input_scale: float = 1.0,
        output_scale: float = 1.0,
        *,
        key: PRNGKeyArray,
    ) -> None:
        check_choice("input_features", input_features, ("raw", "log"))
        self.hidden_size = hidden_size = settings.size("hidden_size", hidden_size)
        self.input_features = input_features
        self.input_scale = settings.factor("input_scale", input_scale)
        self.output_scale = output_scale = settings.factor("output_scale", output_scale)
        check_key(key)
        num_inputs = 1 if input_features == "raw" else 2
        readout = Linear(hidden_size, 1, key=key)
        readout = eqx.tree_at(lambda layer: layer.weight, readout, jnp.zeros((1, hidden_size)))
        cell = cells.GRU(num_inputs, hidden_size, key=key)
        self.network = Chain((cell, readout, Scale(output_scale)))

    @property
    def title(self) -> str:
        """The optimizer's name."""
        return f"GRU({self.hidden_size})"

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "hidden_size": self.hidden_size,
            "input_features": self.input_features,
            "input_scale": self.input_scale,
            "output_scale": self.output_scale,
        }

    def features(
        self, gradient: Float[Array, " coordinates"], accumulators: tuple[()], step: Int[Array, ""]
    ) -> tuple[Float[Array, "features coordinates"], tuple[()]]:
        """The gradient, or its logarithm and sign."""
        del step
        gradient = self.input_scale * gradient
        if self.input_features == "raw":
            return gradient[None], accumulators
        return log1p_and_sign(gradient), accumulators
