"""Where commands print: streams that take any text, and lines wide enough to read."""

import io
import os
import re
import shutil
import sys
from contextlib import suppress
from typing import NoReturn

from rich.console import Console

from l2o.support.plain_warnings import show_warnings_plainly

# In less there is more frame than text, and tyro never ends below 6 columns.
_NARROWEST = 40
_WIDEST = 1000


class PlainConsole(Console):
    """Prints all as it is, since names of folders and the like are no markup.

    **Arguments:** `stderr`, whether on standard error; `soft_wrap`, whether lines may be of any
    length.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False
        )

    def on_broken_pipe(self) -> NoReturn:
        """Leaves it to the command what to do when nobody reads any more."""
        raise BrokenPipeError


def prepare_terminal() -> None:
    """Makes sure, for the whole process, that all that is printed gets out as something readable.

    Lines are of 40 columns at least. Characters that the encoding of a stream does not have are
    escaped. What goes to a stream that was closed is dropped. Warnings are plain lines.
    """
    # Or else the next files to be opened would be taken for the closed streams.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _hold_width()
    show_warnings_plainly()


def _hold_width() -> None:
    """Tells rich and tyro of a width within bounds where the one they would find is not."""
    # Digits of other scripts would end rich, and more of them than Python reads would end both.
    given = os.environ.pop("COLUMNS", "")
    is_given = bool(re.fullmatch("0*[1-9][0-9]{0,8}", given))
    # They ask different streams.
    widths = [int(given)] if is_given else [Console().width, shutil.get_terminal_size().columns]
    held = min(max(min(widths), _NARROWEST), _WIDEST)
    if is_given or held not in widths:
        os.environ["COLUMNS"] = str(held)


def leave_broken_streams() -> None:
    """Forgets what cannot be printed any more, of which Python would complain when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # In tests, a stream may have no descriptor.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
