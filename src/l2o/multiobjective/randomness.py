"""Which weightings are random."""

import inspect
from collections.abc import Callable
from typing import Any


def check_takes_key(weighting: Callable[..., Any]) -> None:
    """Makes sure that a weighting can be given a `key=`.

    **Raises:** `ValueError` if it has no such argument.
    """
    try:
        parameters = inspect.signature(weighting).parameters
    except (TypeError, ValueError):
        return
    takes_any = any(x.kind is inspect.Parameter.VAR_KEYWORD for x in parameters.values())
    if "key" not in parameters and not takes_any:
        name = getattr(weighting, "__name__", repr(weighting))
        raise ValueError(f"{name} is not random and takes no key.")
