"""Writing files so that nobody ever sees half of one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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

    **Arguments:** `path`, whose folder is made if need be.

    **Raises:** `OSError`, which names `path`, if the file cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # A full disk does not say where it is.
        message = error.strerror or str(error)
        raise type(error)(error.errno or errno.EIO, message, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
