"""Numbers for JSON: short, and strictly valid."""

import math
from typing import Any

import numpy as np

_DIGITS = 6


def plain(value: Any) -> Any:
    """Arrays as lists, numbers with six significant digits, and `None` for what is not finite."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def number(value: float | None) -> float:
    """What JSON gave back, with not-a-number for what was not finite."""
    return math.nan if value is None else value
