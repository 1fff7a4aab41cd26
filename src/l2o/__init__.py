"""Learning to optimize: meta-train optimizers, prove that they win, see how they work, use them.

Names are imported when they are first used, so that `import l2o` is quick and leaves JAX alone
until it is needed. Which names there are stands in `__init__.pyi`.
"""

import ast
import importlib
import pkgutil
from importlib import metadata
from typing import Any


def _read_homes() -> dict[str, str]:
    """The module that each public name is imported from; of a room, that is the package itself."""
    stub = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")
    return {
        alias.name: str(node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


_HOMES = _read_homes()


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name == "__version__":
        value = metadata.version("l2o")
    elif name not in _HOMES:
        raise AttributeError(f"module 'l2o' has no attribute {name!r}")
    elif _HOMES[name] == __name__:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*_HOMES, "__version__"})
