"""Losses and accuracies of classifiers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

# Held-out data go through the network in pieces of this many rows, to bound the memory.
_ROWS_AT_ONCE = 1000


def cross_entropy(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, ""]:
    """The mean softmax cross-entropy, in nats."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def smoothed_cross_entropy(
    logits: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    smoothing: Float[Array, ""],
) -> Float[Array, ""]:
    """The mean cross-entropy to labels of which a share is spread evenly over all classes."""
    evenly = -jnp.mean(jax.nn.log_softmax(logits))
    return (1 - smoothing) * cross_entropy(logits, labels) + smoothing * evenly


def binary_cross_entropy(
    logits: Float[Array, " batch"], labels: Int[Array, " batch"]
) -> Float[Array, ""]:
    """The mean logistic loss, in nats: `softplus(logit) - label * logit`.

    Unlike `log(1 + exp(logit))`, softplus does not overflow at large logits.
    """
    return jnp.mean(jax.nn.softplus(logits) - labels * logits)


def classification_metrics(
    split: str,
    logits: Callable[[PyTree], Float[Array, "one classes"]],
    inputs: PyTree,
    labels: Int[Array, " rows"],
) -> dict[str, Float[Array, ""]]:
    """Mean cross-entropy and accuracy over a whole split, in pieces that fit in memory.

    **Arguments:** `split`, the name to report under; `logits`, what to classify with: takes a
    batch of inputs; `inputs`, arrays whose first axis counts the rows; `labels`.

    **Returns:** `{split}_loss`, in nats a row, and `{split}_accuracy`, between 0 and 1.
    """

    def judge(row: tuple[PyTree, Array]) -> tuple[Array, Array]:
        input, label = row
        row_logits = logits(jax.tree.map(lambda x: x[None], input))
        correct = jnp.argmax(row_logits, axis=-1) == label
        return cross_entropy(row_logits, label[None]), correct[0].astype(row_logits.dtype)

    losses, correct = jax.lax.map(judge, (inputs, labels), batch_size=_ROWS_AT_ONCE)
    return {f"{split}_loss": losses.mean(), f"{split}_accuracy": correct.mean()}


def binary_metrics(
    split: str, logits: Float[Array, " rows"], labels: Int[Array, " rows"]
) -> dict[str, Float[Array, ""]]:
    """Mean logistic loss and accuracy over a whole split.

    **Returns:** `{split}_loss`, in nats a row, and `{split}_accuracy`, between 0 and 1.
    """
    correct = (logits > 0) == (labels == 1)
    return {
        f"{split}_loss": binary_cross_entropy(logits, labels),
        f"{split}_accuracy": correct.astype(logits.dtype).mean(),
    }
