"""Figures 1 to 5 in the paper's layout: a column for each task, the paper's numbers beside ours."""

from matplotlib.figure import Figure

from l2o.studies.reverse_engineering.figures.adaptation import draw_adaptation
from l2o.studies.reverse_engineering.figures.clipping import draw_clipping
from l2o.studies.reverse_engineering.figures.momentum import draw_momentum
from l2o.studies.reverse_engineering.figures.performance import draw_performance
from l2o.studies.reverse_engineering.figures.schedule import draw_schedule
from l2o.studies.reverse_engineering.rows import Results


def draw_all(results: Results) -> dict[str, Figure]:
    """All figures, by name."""
    columns = results["studies"]
    return {
        "figure-1-performance": draw_performance(columns),
        "figure-2-momentum": draw_momentum(columns),
        "figure-3-clipping": draw_clipping(columns),
        "figure-4-schedule": draw_schedule(columns),
        "figure-5-adaptation": draw_adaptation(columns),
    }
