"""Writing files so that nobody ever sees half of one."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from l2o.support.file_lock import create_locked, remove_if_abandoned

_ENDING = ".l2o.tmp"
# Folders within folders within a run.
_DEEPEST = 3


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name beside `path`, then moves it there.

    **Arguments:** `path`, whose folder is made if need be; `content`.

    **Raises:** `OSError`, which names `path`, if the file cannot be written; what was there stays.
    """
    with replaced_atomically(path) as file:
        file.write(content)


@contextmanager
def replaced_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends without an error.

    Where `path` is a link, what it leads to is replaced. A device or a pipe is written to as it is.
    The temporary file is locked for as long as it is written, by which abandoned ones are known.

    **Arguments:** `path`, whose folder is made if need be.

    **Raises:** `OSError`, which names `path`, if the file cannot be written; what was there stays.
    """
    try:
        if _is_special(path):
            with path.open("wb") as file:
                yield file
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}{_ENDING}")
        try:
            with os.fdopen(create_locked(temporary), "wb") as file:
                file.truncate()
                yield file
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        # A full disk does not say where it is.
        message = error.strerror or str(error)
        raise type(error)(error.errno or errno.EIO, message, str(path)) from error


def remove_abandoned(folder: Path) -> None:
    """Removes temporary files whose writers were killed; those of others are left alone.

    **Arguments:** `folder`, which is searched with what is in it.
    """
    for depth in range(_DEEPEST + 1):
        for path in folder.glob("*/" * depth + f".*{_ENDING}"):
            remove_if_abandoned(path)


def _is_special(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder, such as a pipe."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
