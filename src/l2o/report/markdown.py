"""Pages about results as Markdown, as they stand in the documentation."""

import textwrap
from collections.abc import Sequence

_WIDTH = 118


def filled(text: str) -> str:
    """A paragraph in lines of a length that is good to read."""
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def listed(sentences: Sequence[str]) -> str:
    """Sentences as a list."""
    return "\n".join(
        textwrap.fill(
            sentence,
            _WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for sentence in sentences
    )


def as_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
