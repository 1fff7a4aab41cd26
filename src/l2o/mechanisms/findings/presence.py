"""Whether a mechanism is there: yes, no, or that it cannot be told."""

from enum import StrEnum


class Presence(StrEnum):
    """What can be said of a mechanism."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCLEAR = "cannot be told"
