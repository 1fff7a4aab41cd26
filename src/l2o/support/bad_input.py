"""Telling what a user can put right from defects, which want a traceback."""

import traceback


def explains_itself(error: BaseException) -> bool:
    """Whether an error's message is all that a user needs.

    That is so for a file that cannot be read or written, and for a `ValueError` that this library
    raised; one from deep inside another library is a defect.
    """
    if isinstance(error, OSError):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, ValueError) and frame.f_globals.get("__name__", "").startswith("l2o.")


def sentence_of(error: BaseException) -> str:
    """What to tell a user of an error that explains itself, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}."
    return str(error)
