"""Names in code as words of a text."""

import re

_WORD_BEGINS = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z])")


def in_words(name: str) -> str:
    """A class's name in words: "LeastSquares" as "least squares", "ODEFits" as "ODE fits"."""
    words = _WORD_BEGINS.sub(" ", name).replace("_", " ").split()
    return " ".join(word if len(word) > 1 and word.isupper() else word.lower() for word in words)
