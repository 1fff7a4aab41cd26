"""A small language model on characters."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.support.checks import check_choice, check_size
from l2o.tasks.datasets import JudgeOn, Split, Text, TextName, read_text
from l2o.tasks.metrics import classification_metrics, cross_entropy
from l2o.tasks.networks import MLP, Activation, MLPFamily
from l2o.tasks.task import Params, SingleTask, Task, TaskFamily


class CharacterLanguageModel(Task):
    """Predicts a character from the `context` characters before it, by a perceptron.

    Each character of the context is embedded as a vector; the vectors, side by side, go through
    a multilayer perceptron (Bengio et al. 2003). Parameters are `{"embedding", "layers"}`; the
    embedding starts standard normal. A minibatch is `batch_size` windows of `context + 1`
    characters, drawn independently.

    **Arguments:**

    - `text`: what to learn.
    - `network`: from `context` times the embedding's size to one logit a character.
    - `context`: how many characters to look back, at least 1.
    - `batch_size`, `split`, `judge_on`: as for `ImageClassification`.

    **Raises:** `ValueError` for numbers out of range, an unknown split, splits of the text that
    are no longer than the context, or a network that does not fit.

    ```pycon
    >>> numbers = jnp.arange(40) % 3
    >>> text = l2o.tasks.datasets.Text(numbers, numbers, numbers, vocabulary="abc", name="abc")
    >>> task = l2o.tasks.character_mlp(text, hidden=(4,), context=2, batch_size=5)
    >>> task.sample(jax.random.key(0)).shape  # each with the character to be predicted
    (5, 3)
    ```
    """

    text: Text
    network: MLP
    context: int = eqx.field(static=True, default=8)
    batch_size: int = eqx.field(static=True, default=128)
    split: Split = eqx.field(static=True, default="train")
    judge_on: JudgeOn = eqx.field(static=True, default="test")

    def __check_init__(self) -> None:
        _check(self)
        inputs, outputs = self.network.sizes[0], self.network.sizes[-1]
        if inputs % self.context or outputs != len(self.text.vocabulary):
            raise ValueError(
                f"The network must have a multiple of {self.context} inputs and "
                f"{len(self.text.vocabulary)} outputs, got {inputs} and {outputs}."
            )

    @property
    def title(self) -> str:
        """Text, context and network in a few words."""
        return _title(self)

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws the embedding and the network's parameters."""
        embedding_key, network_key = jax.random.split(key)
        shape = (len(self.text.vocabulary), self.network.sizes[0] // self.context)
        embedding = jax.random.normal(embedding_key, shape)
        return {"embedding": embedding, "layers": self.network.init(network_key)}

    def sample(self, key: PRNGKeyArray) -> Int[Array, "batch window"]:
        """Draws windows of `context + 1` characters."""
        characters = self.text.split(self.split)
        last = len(characters) - self.context
        return self._windows(characters, jax.random.randint(key, (self.batch_size,), 0, last))

    def _windows(
        self, characters: Int[Array, " characters"], starts: Int[Array, " windows"]
    ) -> Int[Array, "windows window"]:
        """The windows that begin at `starts`."""
        return characters[starts[:, None] + jnp.arange(self.context + 1)]

    def _logits(
        self, params: Params, context: Int[Array, "batch context"]
    ) -> Float[Array, "batch characters"]:
        """Logits of the next character."""
        return self.network(params["layers"], params["embedding"][context])

    def loss(self, params: Params, batch: Int[Array, "batch window"]) -> Float[Array, ""]:
        """The mean cross-entropy of the last character of each window, in nats."""
        return cross_entropy(self._logits(params, batch[:, :-1]), batch[:, -1])

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """Loss and accuracy over every character of the split that has a full context before it.

        **Returns:** `test_loss`, in nats a character, and `test_accuracy`, or the same with
        `validation`.
        """
        characters = self.text.split(self.judge_on)
        windows = self._windows(characters, jnp.arange(len(characters) - self.context))
        return classification_metrics(
            self.judge_on, lambda x: self._logits(params, x), windows[:, :-1], windows[:, -1]
        )


class CharacterLanguageModelFamily(TaskFamily):
    """Language models with a random network; the text is shared by all tasks.

    **Arguments:** as for `CharacterLanguageModel`, but `network` is the `MLPFamily` to draw from.

    **Raises:** `ValueError` for numbers out of range or an unknown split.

    ```pycon
    >>> numbers = jnp.arange(40) % 3
    >>> text = l2o.tasks.datasets.Text(numbers, numbers, numbers, vocabulary="abc", name="abc")
    >>> network = l2o.tasks.MLPFamily((2 * 3, 4, 3), activations=("tanh",))
    >>> family = l2o.tasks.CharacterLanguageModelFamily(text, network, context=2)
    >>> family.sample(jax.random.key(0)).context
    2
    ```
    """

    text: Text
    network: MLPFamily
    context: int = eqx.field(static=True, default=8)
    batch_size: int = eqx.field(static=True, default=128)
    split: Split = eqx.field(static=True, default="train")
    judge_on: JudgeOn = eqx.field(static=True, default="test")

    def __check_init__(self) -> None:
        _check(self)

    @property
    def title(self) -> str:
        """Text, context and networks in a few words."""
        return _title(self)

    def sample(self, key: PRNGKeyArray) -> CharacterLanguageModel:
        """Draws a task."""
        network = self.network.sample(key)
        return CharacterLanguageModel(
            self.text, network, self.context, self.batch_size, self.split, self.judge_on
        )


def character_mlp(
    text: Text,
    hidden: Sequence[int] = (64,),
    activation: Activation = "tanh",
    *,
    context: int = 8,
    embedding_size: int = 16,
    init_std: float | None = None,
    **options: Any,
) -> CharacterLanguageModel:
    """A language model with a perceptron of the right size for a text.

    **Arguments:** `text`; `hidden`, the units of each hidden layer; `activation` and `init_std`,
    as for `MLP`; `context`, how many characters to look back; `embedding_size`, numbers a
    character; further `options`, as for `CharacterLanguageModel`.

    **Raises:** `ValueError` for an unknown activation or numbers out of range.

    ```pycon
    >>> numbers = jnp.arange(40) % 3
    >>> text = l2o.tasks.datasets.Text(numbers, numbers, numbers, vocabulary="abc", name="abc")
    >>> task = l2o.tasks.character_mlp(text, hidden=(4,), context=2, embedding_size=3)
    >>> sorted(task.evaluate(task.init(jax.random.key(0))))
    ['test_accuracy', 'test_loss']
    ```
    """
    network = MLP(_sizes(text, hidden, context, embedding_size), activation, init_std)
    return CharacterLanguageModel(text, network, context, **options)


def character_model_family(
    text: TextName | Text = "tiny-shakespeare",
    hidden: tuple[int, ...] = (64,),
    activation: Activation = "tanh",
    *,
    context: int = 8,
    embedding_size: int = 16,
    batch_size: int = 128,
    judge_on: JudgeOn = "test",
) -> SingleTask:
    """Prediction of the next character of Shakespeare's plays, on minibatches.

    All randomness is in the start and in minibatches; for random networks there is
    `CharacterLanguageModelFamily`.

    **Arguments:**

    - `text`: Text to learn, from the folder L2O_DATA.
    - `hidden`: Units of each hidden layer.
    - `activation`: Activation of the hidden units.
    - `context`: Characters to look back.
    - `embedding_size`: Numbers that stand for a character.
    - `batch_size`: Windows of text in a minibatch.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for an unknown name and numbers out of range; `DataError` if the text
    is missing.

    ```pycon
    >>> numbers = jnp.arange(40) % 3
    >>> text = l2o.tasks.datasets.Text(numbers, numbers, numbers, vocabulary="abc", name="abc")
    >>> family = l2o.tasks.character_model_family(text, hidden=(4,), context=2)
    >>> family.sample(jax.random.key(0)).context
    2
    ```
    """
    model = character_mlp(
        read_text(text),
        hidden,
        activation,
        context=context,
        embedding_size=embedding_size,
        batch_size=batch_size,
        judge_on=judge_on,
    )
    return SingleTask(model)


def _sizes(text: Text, hidden: Sequence[int], context: int, embedding_size: int) -> tuple[int, ...]:
    """The sizes of all layers of a perceptron for a text."""
    check_size("context", context)
    check_size("embedding_size", embedding_size)
    return (context * embedding_size, *hidden, len(text.vocabulary))


def _title(model: CharacterLanguageModel | CharacterLanguageModelFamily) -> str:
    """A language model, or its family, in a few words."""
    units = f"{model.network.sizes[1:-1]} {'/'.join(model.network.activations)} units"
    return f"{model.text.title}, {model.context} characters back, {units}"


def _check(model: CharacterLanguageModel | CharacterLanguageModelFamily) -> None:
    """Checks the fields that a language model and its family have in common."""
    check_size("context", model.context)
    check_size("batch_size", model.batch_size)
    check_choice("split", model.split, ("train", "validation", "test"))
    check_choice("judge_on", model.judge_on, ("test", "validation"))
    for split in (model.split, model.judge_on):
        length = len(model.text.split(split))
        if length <= model.context:
            raise ValueError(
                f"context must be less than the length of the {split} split, {length}, got "
                f"{model.context}."
            )
