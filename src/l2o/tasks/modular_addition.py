"""Sums modulo a number, learned by a small transformer."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.support.checks import check_number, check_size
from l2o.tasks.metrics import classification_metrics, cross_entropy
from l2o.tasks.task import Params, Task, TaskFamily
from l2o.tasks.transformer import Transformer

Sums = tuple[Int[Array, "_rows 2"], Int[Array, " _rows"]]
"""Two summands, and their sum."""


class ModularAddition(Task):
    """The cross-entropy of a transformer that is to say `a + b` modulo a number.

    Some pairs of summands are there to learn from, the others to judge on (Power et al. 2022,
    *Grokking*).

    **Arguments:** `network`, with a token for each number; `train` and `test`, the pairs;
    `batch_size`, pairs in a minibatch, drawn independently and with replacement.

    ```pycon
    >>> task = l2o.tasks.ModularAdditionFamily(modulus=5, width=8).sample(jax.random.key(0))
    >>> pairs, sums = task.train
    >>> bool(jnp.all(pairs.sum(axis=1) % 5 == sums))
    True
    ```
    """

    network: Transformer
    train: Sums
    test: Sums
    batch_size: int = eqx.field(static=True, default=64)

    def __check_init__(self) -> None:
        check_size("batch_size", self.batch_size)

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws the transformer's parameters."""
        return self.network.init(key)

    def sample(self, key: PRNGKeyArray) -> Sums:
        """Draws a minibatch."""
        pairs, sums = self.train
        rows = jax.random.randint(key, (self.batch_size,), 0, len(pairs))
        return pairs[rows], sums[rows]

    def whole_batch(self) -> Sums:
        """All pairs to learn from."""
        return self.train

    def _logits(self, params: Params, pairs: Int[Array, "rows 2"]) -> Float[Array, "rows tokens"]:
        """What follows the second summand."""
        return self.network(params, pairs)[:, -1]

    def loss(self, params: Params, batch: Sums) -> Float[Array, ""]:
        """The mean cross-entropy, in nats."""
        pairs, sums = batch
        return cross_entropy(self._logits(params, pairs), sums)

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """Cross-entropy, in nats, and accuracy on the pairs to judge on."""
        return classification_metrics("test", lambda x: self._logits(params, x), *self.test)


class ModularAdditionFamily(TaskFamily):
    """A small transformer that learns to add modulo a number.

    Every task has other pairs to learn from.

    **Arguments:**

    - `modulus`: The number of which sums are remainders.
    - `train_share`: Share of all pairs to learn from; the others are to judge on.
    - `width`: Numbers that stand for a token, a multiple of the number of heads.
    - `num_heads`: Attention heads of a block.
    - `num_blocks`: Blocks of attention and a perceptron.
    - `batch_size`: Pairs in a minibatch.

    **Raises:** `ValueError` for numbers out of range, or a share that leaves no pairs.

    ```pycon
    >>> family = l2o.tasks.ModularAdditionFamily(modulus=5, width=8)
    >>> family.title
    'sums modulo 5, 1-block transformer of width 8'
    ```
    """

    modulus: int = eqx.field(static=True, default=23)
    train_share: float = eqx.field(static=True, default=0.7)
    width: int = eqx.field(static=True, default=32)
    num_heads: int = eqx.field(static=True, default=2)
    num_blocks: int = eqx.field(static=True, default=1)
    batch_size: int = eqx.field(static=True, default=64)

    def __check_init__(self) -> None:
        check_size("modulus", self.modulus, least=2)
        check_number("train_share", self.train_share, above=0, below=1)
        check_size("batch_size", self.batch_size)
        if not 0 < self._num_train < self.modulus**2:
            raise ValueError(
                f"A train_share of {self.train_share} leaves {self._num_train} of "
                f"{self.modulus**2} pairs to learn from: there must be some, and some to judge on."
            )
        self._network()

    @property
    def title(self) -> str:
        """Sums and network in a few words."""
        return f"sums modulo {self.modulus}, {self._network().title}"

    @property
    def _num_train(self) -> int:
        return round(self.train_share * self.modulus**2)

    def _network(self) -> Transformer:
        return Transformer(self.modulus, 2, self.width, self.num_heads, self.num_blocks)

    def sample(self, key: PRNGKeyArray) -> ModularAddition:
        """Draws which pairs are to be learned from."""
        numbers = jax.random.permutation(key, self.modulus**2)
        pairs = jnp.stack(jnp.divmod(numbers, self.modulus), axis=1)
        sums = jnp.sum(pairs, axis=1) % self.modulus
        end = self._num_train
        train, test = (pairs[:end], sums[:end]), (pairs[end:], sums[end:])
        return ModularAddition(self._network(), train, test, self.batch_size)
