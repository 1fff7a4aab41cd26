"""A folder that one process at a time writes into."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from l2o.support.atomic import remove_abandoned
from l2o.support.file_lock import create_locked

_NAME = ".lock"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keeps other processes that ask for the same from writing into a folder.

    The operating system holds the lock and gives it up when the process ends, however that comes
    about: what a killed process leaves behind keeps nobody out, and the files that it was writing
    are removed. On a file system without locks, nobody is kept out.

    **Arguments:** `folder`, made if need be; what was made is removed afterwards if it is empty.

    **Raises:** `ValueError` if another process is writing there, or `folder` is a file or a link to
    nowhere; `OSError` if the folder cannot be written into.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder.")
    for path in (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            raise ValueError(f"{path} is a link that leads nowhere.")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(folder)
        try:
            remove_abandoned(folder)
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
    try:
        descriptor = create_locked(path)
    except BlockingIOError:
        writer = _content(path)[:20].decode(errors="replace").strip()
        process = f"Another process ({writer})" if writer else "Another process"
        raise ValueError(
            f"{process} is writing into {folder}: wait until it is done, or choose another folder."
        ) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _content(path: Path) -> bytes:
    """What is in the file, if it is still there."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
