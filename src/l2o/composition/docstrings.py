"""What docstrings in the style of this library say, for help texts."""

import inspect
import re
from typing import Any

_SECTION = re.compile(r"\*\*(\w+):\*\*")
_BULLET = re.compile(r"^- `(\w+)`: (.*(?:\n(?!- |\n).*)*)", re.MULTILINE)
_AS_FOR_A_BASE = re.compile(r"^as for `\w+`(?:, and )?")
_INLINE = re.compile(r"`(\w+)`, ([^;]*)")


def summary(documented: Any) -> str:
    """The first sentence or line of an object's docstring; nothing where there is none.

    ```pycon
    >>> l2o.composition.summary(l2o.tasks.TaskFamily.sample)
    'Draws a task.'
    ```
    """
    return first_paragraph(inspect.getdoc(documented))


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((text or "").strip().partition("\n\n")[0].split())


def argument_texts(documented: Any) -> dict[str, str]:
    """What the docstring of a function or class says of each argument, as sentences.

    They stand behind **Arguments:**, one after another, "`width`, of each layer; `key`, ...", or a
    line each, "- `width`: of each layer.". A class has those of its bases, too.

    **Arguments:** `documented`, a function or class.
    """
    sources = inspect.getmro(documented) if inspect.isclass(documented) else (documented,)
    texts: dict[str, str] = {}
    for source in reversed(sources):
        texts |= _texts(source.__doc__ or "")
    return texts


def _texts(docstring: str) -> dict[str, str]:
    sections = _SECTION.split(inspect.cleandoc(docstring))
    bodies = dict(zip(sections[1::2], sections[2::2], strict=True))
    body = bodies.get("Arguments", "").strip()
    bullets = _BULLET.findall(body)
    # What follows the list is no part of it.
    line = _AS_FOR_A_BASE.sub("", " ".join(body.partition("\n\n")[0].split()))
    listed = bullets or _INLINE.findall(line)
    return {name: _sentence(text) for name, text in listed}


def _sentence(text: str) -> str:
    text = " ".join(text.replace("`", "").split()).rstrip(".")
    return text[:1].upper() + text[1:] + "."
