"""Whether a mechanism is there: yes, no, or that it cannot be told."""

from enum import StrEnum


class Presence(StrEnum):
    """What can be said of a mechanism.

    ```pycon
    >>> [presence.value for presence in l2o.mechanisms.Presence]
    ['present', 'absent', 'cannot be told']
    ```
    """

    PRESENT = "present"
    ABSENT = "absent"
    UNCLEAR = "cannot be told"
