"""A person's own optimizers, named `module:attribute` or `file.py:attribute` on the command line.

Code is imported because a command line names it, and for no other reason: what stands in files of
runs and of weights is data.
"""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l2o.optimizers import LearnedOptimizer


def is_reference(text: str) -> bool:
    """Whether a text names a Python object, rather than a folder or something of ours."""
    return ":" in text and not Path(text).exists()


def find_object(reference: str) -> Any:
    """The object that a reference names.

    **Arguments:** `reference`, `module:attribute` or `path/to/file.py:attribute`; modules are
    looked for in the current folder first, as `python -m` does.

    **Raises:** `ValueError` if there is no such module, file or attribute, or if importing it ends
    in an error.
    """
    from l2o.support.checks import check_choice

    source, _, attribute = reference.rpartition(":")
    if not source or not attribute:
        raise ValueError(
            "An object of your own is named module:attribute or file.py:attribute, got "
            f"{reference}."
        )
    found: Any = _module(source)
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = [known for known in dir(found) if not known.startswith("_")]
            check_choice(f"An object in {source}", name, public)
        found = getattr(found, name)
    return found


def _module(source: str) -> ModuleType:
    path = Path(source)
    if path.suffix == ".py" and not path.is_file():
        raise ValueError(f"{path} is no file.")
    try:
        if path.suffix == ".py":
            # Under a name of its own, so that it hides no other module.
            name = f"l2o_named_{path.stem}"
            specification = importlib.util.spec_from_file_location(name, path)
            assert specification is not None
            assert specification.loader is not None
            module = sys.modules[name] = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
            return module
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(source)
    # Whatever a person's code raises.
    except Exception as error:
        raise ValueError(f"{source} cannot be imported: {_told(error, source)}.") from error


def _told(error: Exception, source: str) -> str:
    """An error of a person's code in a line, with the last place in their file, if there is one."""
    name = Path(source.partition(":")[0]).stem.rpartition(".")[2]
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).stem == name
    ]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


def build_optimizer(reference: str, settings: Mapping[str, float]) -> "LearnedOptimizer":
    """A person's own optimizer.

    **Arguments:** `reference`, names a `LearnedOptimizer`, an Optax transformation, or a function
    or class that makes one; `settings`, keywords for the latter.

    **Raises:** `ValueError` if it is none of these, for settings that it does not take, and for
    those that it cannot do without.
    """
    from l2o.optimizers import LearnedOptimizer, from_optax

    found: Any = find_object(reference)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "update")):
        keywords = _keywords(reference, found, settings)
        try:
            made: Any = found(**keywords)
        # Whatever a person's code raises.
        except Exception as error:
            raise ValueError(f"{reference} cannot be made: {_told(error, reference)}.") from error
    elif settings:
        raise ValueError(
            f"--set is for functions and classes; {reference} is an optimizer as it is."
        )
    else:
        made = found
    if isinstance(made, LearnedOptimizer):
        return made
    if hasattr(made, "init") and hasattr(made, "update"):
        return from_optax(made)
    raise ValueError(
        f"{reference} must be an optimizer of l2o or an Optax transformation, or make one, got "
        f"{type(made).__name__}."
    )


def _keywords(
    reference: str, maker: Callable[..., Any], settings: Mapping[str, float]
) -> dict[str, Any]:
    """The settings as the maker takes them; whole numbers where its default is one."""
    from l2o.support.checks import check_choice

    parameters = inspect.signature(maker).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    if not takes_any:
        for name in settings:
            check_choice(f"A keyword of {reference}", name, parameters)
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        and name not in settings
    ]
    if missing:
        raise ValueError(
            f"{reference} needs {', '.join(missing)}: give numbers with --set {missing[0]}=..., or "
            "name a function without arguments."
        )
    whole = {
        name
        for name, parameter in parameters.items()
        if parameter.annotation in (int, "int") or type(parameter.default) is int
    }
    return {
        name: int(value) if name in whole and value.is_integer() else value
        for name, value in settings.items()
    }
