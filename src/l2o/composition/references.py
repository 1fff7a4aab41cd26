"""Objects of a person's own, named `module:attribute` or `file.py:attribute`.

Code is imported because a command line, or Python code, names it, and for no other reason: what
stands in files of runs and of weights is data.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from l2o.support.checks import check_choice


def is_reference(text: str) -> bool:
    """Whether a text names a Python object, rather than a folder or something of ours.

    ```pycon
    >>> l2o.composition.is_reference("my_tasks.py:Family")
    True
    >>> l2o.composition.is_reference("quadratic")
    False
    ```
    """
    return ":" in text and not Path(text).exists()


def may_be_same(reference: str, other: str) -> bool:
    """Whether two references may name one object, from different folders or as file and module.

    ```pycon
    >>> l2o.composition.may_be_same("fits.py:Family", "/home/me/fits.py:Family")
    True
    >>> l2o.composition.may_be_same("fits.py:Family", "fits.py:Other")
    False
    ```
    """
    if not (":" in reference and ":" in other):
        return reference == other
    sources, attributes = zip(
        *(text.rpartition(":")[::2] for text in (reference, other)), strict=True
    )
    names = {Path(source.removesuffix(".py")).name.rpartition(".")[2] for source in sources}
    return len(names) == len(set(attributes)) == 1


def find_object(reference: str) -> Any:
    """The object that a reference names.

    **Arguments:** `reference`, `module:attribute` or `path/to/file.py:attribute`; modules are
    looked for in the current folder first, as `python -m` does.

    **Raises:** `ValueError` if there is no such module, file or attribute, or if importing it ends
    in an error.

    ```pycon
    >>> l2o.composition.find_object("math:pi")
    3.141592653589793
    ```
    """
    source, _, attribute = reference.rpartition(":")
    if not source or not attribute:
        raise ValueError(
            "An object of your own is named module:attribute or file.py:attribute, got "
            f"{reference}."
        )
    value: Any = _module(source)
    for name in attribute.split("."):
        if not hasattr(value, name):
            public = [known for known in dir(value) if not known.startswith("_")]
            check_choice(f"An object in {source}", name, public)
        value = getattr(value, name)
    return value


def digest_of_code(reference: str) -> str | None:
    """SHA-256 of the file that an object was imported from, by which a change of it is seen.

    **Returns:** `None` for what has no file.

    ```pycon
    >>> len(l2o.composition.digest_of_code("l2o.optimizers:RNNProp"))
    64
    ```
    """
    module = inspect.getmodule(find_object(reference)) or _module(reference.rpartition(":")[0])
    path = getattr(module, "__file__", None)
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def error_in_a_line(error: BaseException, reference: str) -> str:
    """An error of a person's code in a line, with the last place in their file, if there is one.

    ```pycon
    >>> l2o.composition.error_in_a_line(ValueError("no data"), "my_tasks.py:Family")
    'ValueError: no data'
    ```
    """
    name = Path(reference.partition(":")[0]).stem.rpartition(".")[2]
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).stem == name
    ]
    where = f" (line {lines[-1]})" if lines else ""
    try:
        said = " ".join(str(error).split())
    # A person's error may not even be able to say what it is.
    except Exception:
        said = "without words"
    return f"{type(error).__name__}: {said}{where}"


def _module(source: str) -> ModuleType:
    path = Path(source)
    if path.suffix == ".py" and not path.is_file():
        raise ValueError(f"{path} is no file.")
    try:
        if path.suffix == ".py":
            return _module_of_file(path)
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(source)
    # Whatever a person's code raises, or ends the program with.
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{source} cannot be imported: {error_in_a_line(error, source)}."
        ) from error


def _module_of_file(path: Path) -> ModuleType:
    """A file as a module, run once for every state of the file."""
    # Under a name of its own, so that it hides no other module.
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"l2o_named_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    # As for a program, other files beside it can be imported.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
