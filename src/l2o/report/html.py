"""The page about a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from l2o.evaluation import Evaluation, metric_label, metrics_of, results_table
from l2o.report import figures
from l2o.report.comparison import Comparison
from l2o.report.files import FIGURES
from l2o.report.interactive import place, scripts
from l2o.report.pages import render_page, versions
from l2o.report.verdict import judge
from l2o.support.atomic import write_atomically


def write_report(
    comparison: Comparison,
    path: Path,
    *,
    title: str,
    description: str,
    config: str,
    history: Sequence[Mapping[str, Any]],
    windows: int,
) -> None:
    """Writes a page that stands by itself, and its figures into `figures/` beside it.

    **Arguments:**

    - `comparison`: what to report.
    - `path`: of the page.
    - `title` and `description`: of the run.
    - `config`: all settings of the run, as JSON text.
    - `history` and `windows`: of meta-training, as for `figures.meta_training`. Without any
      history the page leaves it out.

    **Raises:** `OSError` if a file cannot be written.
    """
    images = {
        name: place(figure, path.parent, f"{FIGURES}/{name}.png")
        for name, figure in _draw(comparison, history, windows).items()
    }
    main, numbers = comparison.main, comparison.as_dict()
    held_out_metrics = [
        metric for metric in ("test_loss", "test_accuracy") if metric in _metrics(main.evaluation)
    ]
    page = render_page(
        "report.html.jinja",
        title=title,
        description=description,
        comparison=comparison,
        headline=judge(main, comparison.learned, "objective"),
        held_out=[judge(main, comparison.learned, metric) for metric in held_out_metrics],
        others=[judge(other, comparison.learned, "objective") for other in comparison.others],
        columns=[(name, metric_label(name)) for name in metrics_of(numbers["results"][0])],
        rows=results_table(numbers),
        images=images,
        scripts=scripts(),
        config=config,
        versions=versions(),
        has_history=bool(history),
    )
    write_atomically(path, page)


def _metrics(evaluation: Evaluation) -> tuple[str, ...]:
    """The metrics that the runs have, the same for all."""
    return tuple(next(iter(evaluation.runs.values())).metrics)


def _draw(
    comparison: Comparison, history: Sequence[Mapping[str, Any]], windows: int
) -> dict[str, Figure]:
    """All figures by name."""
    main, learned = comparison.main, comparison.learned
    drawn = {
        "losses": figures.loss_curves([main], learned),
        "paired": figures.paired_differences(main, learned, "objective"),
    }
    if "test_accuracy" in _metrics(main.evaluation):
        drawn["accuracy"] = figures.held_out(main, learned, "test_accuracy")
    if comparison.others:
        drawn["others"] = figures.loss_curves(comparison.others, learned)
    if history:
        drawn["meta_training"] = figures.meta_training(history, windows)
    return drawn
