"""Faces of rooms whose names are imported when they are first used (PEP 562)."""

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any


def lazy_face(
    package: str,
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package needs so that importing it, or one module in it, imports nothing else.

    Which names it makes public stands in its `__init__.pyi`, where type checkers read it, too.

    **Arguments:** `package`, its name.

    **Returns:** its `__getattr__`, `__dir__` and `__all__`.
    """
    homes = dict(_homes(package))

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            return importlib.import_module(f"{package}.{name}")
        # Kept, so that it is looked for once.
        return vars(importlib.import_module(package)).setdefault(
            name, getattr(importlib.import_module(homes[name]), name)
        )

    return find, lambda: sorted(homes), sorted(homes)


def _homes(package: str, file: str = "__init__.pyi") -> Iterator[tuple[str, str]]:
    """The public names, and the module that each is imported from; of a room, its package."""
    for node in ast.parse(pkgutil.get_data(package, file) or b"").body:
        if isinstance(node, ast.ImportFrom):
            home = str(node.module)
            for alias in node.names:
                if alias.name == "*":
                    yield from ((name, home) for name, _ in _listed(home))
                else:
                    yield alias.name, home


def _listed(module: str) -> Iterator[tuple[str, str]]:
    """The names that a module lists, an import a line; it is not imported for that."""
    root, *parts = module.split(".")
    path = "/".join(parts)
    try:
        yield from _homes(root, f"{path}.py")
    except FileNotFoundError:
        yield from _homes(root, f"{path}/__init__.py")
