"""Warnings for those who use a program, not for those who write it."""

import warnings


def show_warnings_plainly() -> None:
    """Lets every warning be a line of its own, without the place in the source that it is from."""
    warnings.formatwarning = _line


def _line(message: Warning | str, *_: object, **__: object) -> str:
    return f"Warning: {' '.join(str(message).split())}\n"
