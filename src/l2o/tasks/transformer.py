"""A small transformer as a function of explicit parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.support.checks import check_size
from l2o.tasks.task import Params

_SMALLEST = 1e-5


class Transformer(eqx.Module):
    """A decoder-only transformer: causal attention and perceptrons, each after a layer norm.

    Source: Vaswani et al. 2017, with norms first (Xiong et al. 2020) and learned positions. Weights
    are normal with variance 1 / inputs, those that lead back into the residual stream with that
    over twice the number of blocks (Radford et al. 2019); biases are zero, and there are some in
    perceptrons and norms alone.

    **Arguments:** `num_tokens`, how many there are; `length`, the longest sequence; `width`,
    numbers that stand for a token, a multiple of `num_heads`; `num_heads`; `num_blocks`.

    **Raises:** `ValueError` for sizes less than 1, or a width that heads do not divide.

    ```pycon
    >>> network = l2o.tasks.Transformer(num_tokens=5, length=4, width=8, num_heads=2, num_blocks=1)
    >>> tokens = jnp.asarray([[0, 3, 1]])
    >>> network(network.init(jax.random.key(0)), tokens).shape
    (1, 3, 5)
    ```
    """

    num_tokens: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    width: int = eqx.field(static=True, default=32)
    num_heads: int = eqx.field(static=True, default=2)
    num_blocks: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        for name in ("num_tokens", "length", "width", "num_heads", "num_blocks"):
            check_size(name, getattr(self, name))
        if self.width % self.num_heads:
            raise ValueError(
                f"width must be a multiple of num_heads, {self.num_heads}, got {self.width}."
            )

    @property
    def title(self) -> str:
        """Depth and width."""
        return f"{self.num_blocks}-block transformer of width {self.width}"

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws parameters."""
        width = self.width
        token_key, place_key, out_key, *keys = jax.random.split(key, 3 + self.num_blocks)
        return {
            "tokens": jax.random.normal(token_key, (self.num_tokens, width)),
            "places": jax.random.normal(place_key, (self.length, width)),
            "blocks": [self._init_block(key) for key in keys],
            "norm": _init_norm(width),
            "out": _weight(out_key, width, self.num_tokens),
        }

    def _init_block(self, key: PRNGKeyArray) -> Params:
        width, damping = self.width, (2 * self.num_blocks) ** -0.5
        keys = jax.random.split(key, 4)
        return {
            "attention_norm": _init_norm(width),
            "attention_in": _weight(keys[0], width, 3 * width),
            "attention_out": damping * _weight(keys[1], width, width),
            "norm": _init_norm(width),
            "in": (_weight(keys[2], width, 4 * width), jnp.zeros(4 * width)),
            "out": (damping * _weight(keys[3], 4 * width, width), jnp.zeros(width)),
        }

    def __call__(
        self, params: Params, tokens: Int[Array, "batch length"]
    ) -> Float[Array, "batch length {self.num_tokens}"]:
        """Logits of what follows each token."""
        units = params["tokens"][tokens] + params["places"][: tokens.shape[1]]
        for block in params["blocks"]:
            units = units + self._attend(block, _normalize(block["attention_norm"], units))
            (weight, bias), (out, last) = block["in"], block["out"]
            hidden = jax.nn.gelu(_normalize(block["norm"], units) @ weight + bias)
            units = units + hidden @ out + last
        return _normalize(params["norm"], units) @ params["out"]

    def _attend(
        self, block: Params, units: Float[Array, "batch length width"]
    ) -> Float[Array, "batch length width"]:
        """What each token takes from itself and those before it."""
        joined = (units @ block["attention_in"]).reshape(*units.shape[:2], 3, self.num_heads, -1)
        query, key, value = jnp.moveaxis(joined, 2, 0)
        taken = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        return taken.reshape(units.shape) @ block["attention_out"]


def _weight(key: PRNGKeyArray, inputs: int, outputs: int) -> Float[Array, "{inputs} {outputs}"]:
    return jax.random.normal(key, (inputs, outputs)) / jnp.sqrt(inputs)


def _init_norm(width: int) -> tuple[Float[Array, " {width}"], Float[Array, " {width}"]]:
    return jnp.ones(width), jnp.zeros(width)


def _normalize(
    norm: tuple[Float[Array, " width"], Float[Array, " width"]],
    units: Float[Array, "batch length width"],
) -> Float[Array, "batch length width"]:
    """Mean zero and variance one over the width, then scaled and shifted."""
    scale, shift = norm
    centred = units - jnp.mean(units, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + _SMALLEST) * scale + shift
