"""Text as numbers, a character each."""

from pathlib import Path
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from l2o.support.checks import check_choice, check_instance
from l2o.tasks.datasets.classification import Split
from l2o.tasks.datasets.folders import DataError, data_folder, first_existing
from l2o.tasks.datasets.titles import title_of

TextName = Literal["tiny-shakespeare"]
"""The name of a text."""


class Text(eqx.Module):
    """A text in three contiguous splits, every character as its place in the vocabulary.

    ```pycon
    >>> numbers = jnp.arange(40) % 3
    >>> text = l2o.tasks.datasets.Text(numbers, numbers, numbers, vocabulary="abc", name="abc")
    >>> "".join(text.vocabulary[number] for number in text.train[:4])
    'abca'
    ```
    """

    train: Int[Array, " train"]
    validation: Int[Array, " validation"]
    test: Int[Array, " test"]
    vocabulary: str = eqx.field(static=True)
    """All characters of the text, sorted."""
    name: str = eqx.field(static=True)

    @classmethod
    def from_string(cls, name: str, text: str) -> "Text":
        """Numbers the characters; the first 90 % are to train on, 5 % each for the rest.

        **Arguments:** `name`; `text`, at least 20 characters, so that no split is empty.

        **Raises:** `ValueError` if the text is shorter.
        """
        if len(text) < 20:
            raise ValueError(f"A text must have at least 20 characters, got {len(text)}.")
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        vocabulary, numbers = np.unique(points, return_inverse=True)
        num_train, num_validation = int(0.9 * len(text)), int(0.05 * len(text))
        parts = np.split(numbers.astype(np.int32), [num_train, num_train + num_validation])
        train, validation, test = (jnp.asarray(part) for part in parts)
        return cls(train, validation, test, "".join(map(chr, vocabulary)), name)

    @property
    def title(self) -> str:
        """The name in a text."""
        return title_of(self.name)

    def split(self, name: Split) -> Int[Array, " characters"]:
        """The characters of a split, by its name."""
        check_choice("split", name, ("train", "validation", "test"))
        return getattr(self, name)


def tiny_shakespeare(folder: str | Path | None = None) -> Text:
    """Plays of Shakespeare, 1,115,394 characters of 65 kinds: `folder/tinyshakespeare.txt`.

    Splits are contiguous, 90 %, 5 % and 5 %, as TensorFlow Datasets takes them.

    **Arguments:** `folder`, by default the one that `L2O_DATA` names.

    **Raises:** `DataError` if the file is missing or no text.

    Source: Karpathy, "char-rnn" (2015).
    """
    folder = data_folder() if folder is None else Path(folder)
    path = first_existing("Tiny Shakespeare", [folder / "tinyshakespeare.txt"])
    try:
        return Text.from_string("tiny_shakespeare", path.read_bytes().decode("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a text in UTF-8: {error}") from error


def read_text(text: TextName | Text) -> Text:
    """The text of this name; one that is given as it is needs no reading.

    **Raises:** `DataError` if the file is missing; `ValueError` for an unknown name.

    ```pycon
    >>> numbers = jnp.arange(40) % 3
    >>> text = l2o.tasks.datasets.Text(numbers, numbers, numbers, vocabulary="abc", name="abc")
    >>> l2o.tasks.datasets.read_text(text) is text
    True
    ```
    """
    if isinstance(text, str):
        check_choice("text", text, ("tiny-shakespeare",))
        return tiny_shakespeare()
    check_instance("text", text, Text, "Text.from_string makes one.")
    return text
