"""What all commands have in common."""

import abc
from typing import Self

from l2o.cli.flags import read_flags


class Command(abc.ABC):
    """Something that `l2o` can be told to do."""

    @classmethod
    def parse(cls, name: str, arguments: list[str]) -> Self:
        """Reads what follows the command's name on the command line.

        **Raises:** `ValueError` for a flag given more than once; `SystemExit` after showing help
        or what else is wrong with the arguments.
        """
        return read_flags(cls, arguments, prog=f"l2o {name}")

    @property
    def interruption_hint(self) -> str:
        """What to say to a user who interrupts the command."""
        return ""

    @abc.abstractmethod
    def run(self) -> None:
        """Does it.

        **Raises:** `ValueError` for bad input.
        """
