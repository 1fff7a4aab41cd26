"""Reading JSON that may be anything, and writing what any reader knows."""

import json
from pathlib import Path
from typing import Any, NoReturn

from l2o.support.atomic import write_atomically
from l2o.support.checks import is_finite_number

_DEEPEST = 64


def write_json(path: Path | str, content: Any) -> None:
    """Writes a file of JSON, whole or not at all.

    **Arguments:** `path`, whose folder is made if need be; `content`, what JSON knows.

    **Raises:** `ValueError` for a number that is not finite, which JSON does not know; `OSError` if
    the file cannot be written.
    """
    write_atomically(Path(path), json.dumps(content, indent=2, allow_nan=False).encode())


def check_is_no_folder(path: Path | str | None) -> None:
    """Makes sure that a file can be written there, as far as what is there now tells.

    **Arguments:** `path`; `None` for no file.

    **Raises:** `ValueError` if it is a folder.
    """
    if path is not None and Path(path).is_dir():
        raise ValueError(f"{path} is a folder, not a file for the numbers.")


def read_json(content: str | bytes, source: Path | str) -> Any:
    """Reads JSON.

    **Arguments:** `content`; `source`, where it comes from, for the message.

    **Returns:** objects, lists, text that is Unicode, truth values, `None`, and numbers that double
    precision can hold, whole ones too.

    **Raises:** `ValueError`, in one sentence, for what is no JSON (as `NaN` is none), for numbers
    and text of other kinds, and for what is nested so deeply that nothing of ours can be meant.
    """
    try:
        value = json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"{source} is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"{source} is no JSON file: {error}.") from error
    level, depth = [value], 0
    while level:
        if depth > _DEEPEST:
            raise ValueError(f"{source} is nested too deeply.")
        for leaf in level:
            _check_leaf(leaf, source)
        level = [inner for outer in level for inner in _inside(outer)]
        depth += 1
    return value


def to_json(value: Any) -> str:
    """Writes JSON, which has neither infinity nor not-a-number.

    **Raises:** `ValueError` if there is either: what may not be finite is to be made `None` first.
    """
    return json.dumps(value, allow_nan=False)


def _inside(value: Any) -> list[Any]:
    """The entries of an object or a list."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _check_leaf(value: Any, source: Path | str) -> None:
    """Makes sure that a number can be computed with, and a text be written down."""
    if type(value) in (int, float) and not is_finite_number(value):
        raise ValueError(f"{source} has a number beyond those of double precision.")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{source} has a text that is no Unicode: {value!a:.80}.") from None
        # Which no name of a file may have.
        if "\0" in value:
            raise ValueError(f"{source} has a text with a null character: {value!a:.80}.")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")
