"""Writes the API reference of the site: a page for each room, with all names that it makes public.

Rooms are those of `src/l2o/__init__.pyi`, and names those that a room's `__init__.py`, or its
`__init__.pyi` where it imports them on first use, exports, so
that a new one has its place here as soon as it can be imported.
"""

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

SOURCE = Path(__file__).parents[1] / "src"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages to the navigation, behind all others."""
    config.nav.append({"API reference": list(_pages())})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages themselves."""
    for path, content in _pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes references to names that modules hide find them on this page."""
    for room, names in public_rooms().items():
        if page.file.src_uri == _path(room):
            for name in names:
                if _hidden(room, name):
                    config.plugins["autorefs"].register_anchor(page, f"{room}.{name}")
    return html


def public_rooms(package: str = "l2o") -> dict[str, list[str]]:
    """The public names of each room, and of each room within a room.

    **Arguments:** `package`, whose rooms to list: modules that it exports from itself.

    **Returns:** names by the room's full name, such as `l2o.tasks.datasets`.
    """
    rooms = {}
    for name, home in _exports(package).items():
        room = f"{package}.{name}"
        if home == package and _is_module(room):
            within = public_rooms(room)
            names = [known for known in _exports(room) if f"{room}.{known}" not in within]
            rooms |= {room: names, **within}
    return rooms


def shortcuts() -> dict[str, str]:
    """The names of `l2o` itself, with the full name of each where it is described."""
    return {
        name: f"{home}.{name}"
        for name, home in _exports("l2o").items()
        if home != "l2o" and f"l2o.{name}" not in public_rooms()
    }


def _pages() -> dict[str, str]:
    pages = {"reference/index.md": _overview()}
    for room, names in public_rooms().items():
        described = "\n\n".join(_directive(room, name) for name in names)
        pages[_path(room)] = f"# {room}\n\n{_docstring(room)}\n\n{described}\n"
    return pages


def _directive(room: str, name: str) -> str:
    """What has mkdocstrings describe a name, also one that a module of the same name hides."""
    full = f"{room}.{name}"
    return (
        f'<a id="{full}"></a>\n\n::: {_definition(room, name)}'
        if _hidden(room, name)
        else f"::: {full}"
    )


def _hidden(module: str, name: str) -> bool:
    """Whether a module is called like what another module exports, or hands on."""
    home = _exports(module).get(name, module)
    return _is_module(f"{module}.{name}") or (home != module and _hidden(home, name))


def _definition(module: str, name: str) -> str:
    """The full name of what a module exports, where it is defined."""
    home = _exports(module).get(name, module)
    return f"{module}.{name}" if home == module else _definition(home, name)


def _overview() -> str:
    rooms = [
        f"| [`{room}`]({Path(_path(room)).name}) | {_docstring(room).splitlines()[0]} |"
        for room in public_rooms()
    ]
    names = [f"| `l2o.{name}` | [`{home}`][{home}] |" for name, home in shortcuts().items()]
    return "\n".join(
        [
            "# API reference",
            "",
            "All public names, by room. Everything else may change without notice. Examples take",
            "`import jax, jax.numpy as jnp, numpy as np, optax, l2o` for granted.",
            "",
            "| room | what is there |",
            "|---|---|",
            *rooms,
            "",
            "What is used most can be had from `l2o` itself:",
            "",
            "| short | is |",
            "|---|---|",
            *names,
            "",
        ]
    )


def _path(room: str) -> str:
    return f"reference/{room.removeprefix('l2o.')}.md"


def _exports(module: str) -> dict[str, str]:
    """The public names of a module, and the module that each is imported from.

    A package exports what it imports as `x as x`, and what the lists of a kind have that it takes
    whole; a single file exports what it defines.
    """
    exports = {}
    for node in _parse(module).body:
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            exports |= dict.fromkeys(_exports(str(node.module)), str(node.module))
        elif isinstance(node, ast.ImportFrom):
            exports |= {a.name: str(node.module) for a in node.names if a.asname == a.name}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            exports[node.name] = module
    return {name: home for name, home in exports.items() if not name.startswith("_")}


def _is_module(name: str) -> bool:
    path = SOURCE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _docstring(module: str) -> str:
    # Of a room it stands in `__init__.py`, its names may stand in `__init__.pyi`.
    path = SOURCE.joinpath(*module.split("."))
    file = next(each for each in (path / "__init__.py", path.with_suffix(".py")) if each.is_file())
    return ast.get_docstring(ast.parse(file.read_text())) or ""


def _parse(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split("."))
    files = (path / "__init__.pyi", path / "__init__.py", path.with_suffix(".py"))
    return ast.parse(next(file for file in files if file.is_file()).read_text())
