"""How far a command is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ComparisonProgress:
    """How far a comparison is."""

    activity: str
    """What is being done."""
    done: int
    total: int | None
    """Not known yet where it is `None`."""


OnProgress = Callable[[ComparisonProgress], None]


def leave_unseen(progress: ComparisonProgress) -> None:
    """Does nothing with it."""
