"""Figures 1 to 5 in the paper's layout: a column for each task, the paper's numbers beside ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2o.studies.reverse_engineering.profiles import Study

if TYPE_CHECKING:
    from markupsafe import Markup

    from l2o.studies.reverse_engineering.figures.canvas import Results


def draw_figures(results: "Results", studies: Sequence[Study], folder: Path) -> dict[str, "Markup"]:
    """Draws all figures.

    **Arguments:** `results`, what `results.json` holds; `studies`, for the pictures of the tasks;
    `folder`, for the image files.

    **Returns:** each figure as an element for a page, by name.
    """
    from l2o.report.drawing import as_png, as_svg
    from l2o.studies.reverse_engineering.figures.adaptation import adaptation
    from l2o.studies.reverse_engineering.figures.clipping import clipping
    from l2o.studies.reverse_engineering.figures.momentum import momentum
    from l2o.studies.reverse_engineering.figures.performance import performance
    from l2o.studies.reverse_engineering.figures.schedule import schedule
    from l2o.support.atomic import write_atomically

    columns: list[dict[str, Any]] = results["studies"]
    figures = {
        "figure-1-performance": performance(columns, studies),
        "figure-2-momentum": momentum(columns),
        "figure-3-clipping": clipping(columns),
        "figure-4-schedule": schedule(columns),
        "figure-5-adaptation": adaptation(columns),
    }
    for name, figure in figures.items():
        write_atomically(folder / f"{name}.png", as_png(figure, dpi=110))
    return {name: as_svg(figure) for name, figure in figures.items()}
