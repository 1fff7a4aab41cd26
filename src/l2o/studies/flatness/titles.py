"""What cells of the results are called on the page."""

from typing import Any


def method_title(results: dict[str, Any], cell: dict[str, Any]) -> str:
    """How an optimizer came about, in words."""
    if cell["regularizer"] is None:
        title = "tuned baseline"
    else:
        title = results["titles"][cell["regularizer"]]
    enhanced = ", enhanced training" if cell["enhanced"] else ""
    control = f", {results['control_titles'][cell['control']]}" if cell["control"] else ""
    return f"{title}{enhanced}{control}"
