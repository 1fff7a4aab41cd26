"""What cells of the results are called on the page."""

from l2o.studies.flatness.rows import OfCell, Results


def method_title(results: Results, cell: OfCell) -> str:
    """How an optimizer came about, in words."""
    regularizer = cell["regularizer"]
    title = "tuned baseline" if regularizer is None else results["titles"][regularizer]
    enhanced = ", enhanced training" if cell["enhanced"] else ""
    control = f", {results['control_titles'][cell['control']]}" if cell["control"] else ""
    return f"{title}{enhanced}{control}"
