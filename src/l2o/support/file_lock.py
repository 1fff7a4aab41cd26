"""Files that one process at a time has locked, which the operating system sees to."""

import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # There is none but on Unix.
    fcntl = None

# What file systems say that have no locks.
_UNKNOWN = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


def create_locked(path: Path) -> int:
    """Makes a file if need be, and locks it for as long as it stays open.

    On a file system without locks, it is only opened.

    **Returns:** the open file, to read and write.

    **Raises:** `BlockingIOError` if another one has it locked; `OSError` if it cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        # The one who had it may have removed it between opening and locking.
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def remove_if_abandoned(path: Path) -> None:
    """Removes a file unless somebody has it locked, or nobody can tell."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _lock(descriptor) and _is_at(path, descriptor):
                path.unlink()
        finally:
            os.close(descriptor)
    except OSError:
        pass


def _lock(descriptor: int) -> bool:
    """Locks an open file.

    **Returns:** whether that means anything.

    **Raises:** `BlockingIOError` if another one has it locked.
    """
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        return False
    return fcntl is not None


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
