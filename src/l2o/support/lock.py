"""A folder that one process at a time writes into."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # There is none but on Unix.
    fcntl = None

_NAME = ".lock"

# What file systems say that have no locks.
_UNKNOWN = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keeps other processes that ask for the same from writing into a folder.

    The operating system holds the lock and gives it up when the process ends, however that comes
    about: what a killed process leaves behind keeps nobody out. On a file system without locks,
    nobody is kept out.

    **Arguments:** `folder`, made if need be; what was made is removed afterwards if it is empty.

    **Raises:** `ValueError` if another process is writing there, or `folder` is a file; `OSError`
    if the folder cannot be written into.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder.")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(folder)
        try:
            yield
        finally:
            # Removed before it is given up: nobody can have got hold of it in between.
            (folder / _NAME).unlink(missing_ok=True)
            os.close(descriptor)
    finally:
        for path in made:
            try:
                path.rmdir()
            except OSError:
                break


def _acquire(folder: Path) -> int:
    """The open, locked file."""
    path = folder / _NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            writer = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            process = f"Another process ({writer})" if writer else "Another process"
            raise ValueError(
                f"{process} is writing into {folder}: wait until it is done, or choose another "
                "folder."
            ) from None
        except OSError as error:
            if error.errno not in _UNKNOWN:
                os.close(descriptor)
                raise
        # The one who had it may have removed it between opening and locking.
        if _is_at(path, descriptor):
            os.truncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            return descriptor
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
