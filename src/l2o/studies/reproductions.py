"""The papers whose experiments can be repeated."""

from l2o.studies.flatness import FLATNESS
from l2o.studies.multi_objective import MULTI_OBJECTIVE
from l2o.studies.reproduction import Reproduction
from l2o.studies.reverse_engineering import REVERSE_ENGINEERING

REPRODUCTIONS: tuple[Reproduction, ...] = (REVERSE_ENGINEERING, FLATNESS, MULTI_OBJECTIVE)
"""Every reproduction."""


def find_reproduction(name: str) -> Reproduction:
    """The reproduction of this name.

    **Raises:** `ValueError` for an unknown name.
    """
    from l2o.support.checks import check_choice

    known = {each.name: each for each in REPRODUCTIONS}
    check_choice("A reproduction", name, known)
    return known[name]
