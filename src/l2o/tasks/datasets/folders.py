"""Where data sets are read from, and where decoded copies are kept."""

import os
from collections.abc import Iterable
from pathlib import Path


class DataError(ValueError):
    """Data are missing or not what they should be; the message says what was expected where."""


def data_folder() -> Path:
    """The folder that the environment variable `L2O_DATA` names.

    It may hold `mnist/`, `cifar10-jpg.tar.gz` and `tinyshakespeare.txt`; the function that reads
    a data set says which other layouts it takes.

    **Raises:** `DataError` if the variable is not set or names no folder.
    """
    name = os.environ.get("L2O_DATA")
    if not name:
        raise DataError(
            "No data folder: set the environment variable L2O_DATA to the folder that holds the "
            "data sets, or pass `folder`."
        )
    folder = _without_tilde("L2O_DATA", name)
    if not folder.is_dir():
        raise DataError(f"The environment variable L2O_DATA names {folder}, which is no folder.")
    return folder


def cache_folder() -> Path:
    """The folder for decoded copies: `L2O_CACHE` if set, else `~/.cache/l2o`. It may not exist.

    **Raises:** `DataError` if nobody has the home directory that it is said to be in.

    ```pycon
    >>> l2o.tasks.datasets.cache_folder().is_absolute()
    True
    ```
    """
    return _without_tilde("L2O_CACHE", os.environ.get("L2O_CACHE") or "~/.cache/l2o")


def _without_tilde(variable: str, name: str) -> Path:
    """A folder whose name may begin with a home directory."""
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"The home directory in {name} is not known: set the environment variable {variable} "
            "to a folder by its full name."
        ) from error


def first_existing(what: str, candidates: Iterable[Path]) -> Path:
    """The first of `candidates` that exists.

    **Arguments:** `what`, the data set's name, for the message; `candidates`, in order of
    preference.

    **Raises:** `DataError` that lists the candidates and says how to set `L2O_DATA`.
    """
    candidates = list(candidates)
    for path in candidates:
        if path.exists():
            return path
    places = " or ".join(str(path) for path in candidates)
    raise DataError(
        f"{what} is missing: expected {places}. Set the environment variable L2O_DATA to the "
        "folder that holds the data sets, or pass `folder`."
    )
