"""Celo2, the small network whose every step has a root mean square of one."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from l2o.optimizers import settings
from l2o.optimizers.adafac_features import (
    AdafacState,
    factors,
    init_adafac,
    moments_of_axes,
    update_adafac,
)
from l2o.optimizers.layout import Group, Layout
from l2o.optimizers.newton_schulz import orthogonalize
from l2o.optimizers.perceptron import Perceptron
from l2o.optimizers.tensorwise import TensorwiseOptimizer
from l2o.support.keys import check_key

_DECAYS = (0.9, 0.99, 0.999)
_SQUARE_DECAY = 0.95
_NUM_FEATURES = 30
_LARGEST_GRADIENT = 1e3
_LARGEST_CLIPPED = 0.1
_SMALLEST = 1e-9


class Celo2(TensorwiseOptimizer):
    """A small network on 30 features of each number, whose direction is scaled to RMS one.

    Features are those of `AdafacMLP` without time, with the gradient clipped at 0.1 and the
    gradient over the root of its second moment, normalised along the last two axes of each tensor;
    vectors have the first 15 of them. Of the network's three outputs the first is the direction, so
    that of 347 meta-parameters 329 act. The update is the direction over its root mean square,
    times a learning rate: it has to be tuned, as Adam's has, and warm-up, schedule and weight decay
    stand around the rule, as around Optax's own. Source: *Celo2*, arXiv 2602.19142, as in its
    public code. Gradients above 1,000 count as 1,000 there, and here. What is published beside it,
    AdamW with 20 times the learning rate for vectors and embeddings, is no part of it.

    ```pycon
    >>> rule = l2o.optimizers.Celo2(learning_rate=0.1, key=jax.random.key(0))
    >>> params = {"weight": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
    >>> updates, _ = rule.update(params, rule.init(params), params)
    >>> round(float(jnp.sqrt(jnp.mean(updates["weight"] ** 2))), 4)
    0.1
    ```

    **Arguments:**

    - `hidden_size`: Units of each of two hidden layers.
    - `orthogonal`: Orthogonalises the directions of matrices by Newton-Schulz iteration; those of
      tensors of higher rank along their last two axes.
    - `learning_rate`: Root mean square of each tensor's update.
    - `key`: Of the initial weights.

    **Raises:** `ValueError` for settings out of range.
    """

    network: Perceptron
    hidden_size: int = eqx.field(static=True)
    orthogonal: bool = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)

    def __init__(
        self,
        hidden_size: int = 8,
        orthogonal: bool = False,
        learning_rate: float = 1e-3,
        *,
        key: PRNGKeyArray,
    ) -> None:
        self.hidden_size = settings.size("hidden_size", hidden_size)
        self.orthogonal = settings.switch("orthogonal", orthogonal)
        self.learning_rate = settings.factor("learning_rate", learning_rate)
        check_key(key)
        self.network = Perceptron((_NUM_FEATURES, hidden_size, hidden_size, 3), key=key)

    def config(self) -> dict[str, Any]:
        """The constructor's keywords, without the key."""
        return {
            "hidden_size": self.hidden_size,
            "orthogonal": self.orthogonal,
            "learning_rate": self.learning_rate,
        }

    def lay_out(self, groups: Sequence[Group]) -> Layout:
        """A piece is the last two axes of a tensor."""
        return Layout(groups, by_last_two_axes=True)

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
        del step
        gradients = tuple(
            jnp.clip(group, -_LARGEST_GRADIENT, _LARGEST_GRADIENT) for group in gradients
        )
        dtype = state.mean_squares.dtype
        decays = jnp.asarray(_DECAYS, dtype)
        state = update_adafac(
            state, gradients, layout, decays, jnp.asarray(_SQUARE_DECAY, dtype), decays
        )
        gradient, averages = layout.join(gradients), state.averages
        root = jax.lax.rsqrt(state.mean_squares + 1e-8)
        clipped = jnp.clip(gradient, -_LARGEST_CLIPPED, _LARGEST_CLIPPED)
        features = [gradient, clipped, layout.join(params), *averages, state.mean_squares]
        features += [*(averages * root), root]
        of_factors = factors(state, layout, 1e-9)
        features += [gradient * factor for factor in of_factors]
        features += [gradient * root]
        inputs = [layout.normalized(feature, _SMALLEST) for feature in features]
        inputs += moments_of_axes(state, layout, 2, _SMALLEST, of_vectors=False)
        # Vectors do not have these.
        is_matrix = layout.spread(jnp.asarray(layout.is_matrix, dtype))
        inputs += [
            layout.normalized(is_matrix * average * factor, _SMALLEST)
            for average, factor in zip(averages, of_factors, strict=True)
        ]
        direction = self.network(inputs)[0]
        if self.orthogonal:
            groups = layout.split(direction)
            direction = layout.join(
                [orthogonalize(group) if group.ndim > 2 else group for group in groups]
            )
        update = -self.learning_rate * layout.normalized(direction, _SMALLEST)
        return layout.split(update), state
