"""Reading JSON that may be anything."""

import json
from pathlib import Path
from typing import Any, NoReturn

_DEEPEST = 64


def read_json(content: str | bytes, source: Path | str) -> Any:
    """Reads JSON.

    **Arguments:** `content`; `source`, where it comes from, for the message.

    **Raises:** `ValueError`, in one sentence, for what is no JSON (as `NaN` is none) and for what
    is nested so deeply that nothing of ours can be meant.
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
        level = [inner for outer in level for inner in _inside(outer)]
        depth += 1
    return value


def _inside(value: Any) -> list[Any]:
    """The entries of an object or a list."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")
