"""The page about a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from l2o.evaluation import Evaluation
from l2o.report import figures
from l2o.report.comparison import Comparison
from l2o.report.drawing import as_png, as_svg
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
    drawn = _draw(comparison, history, windows)
    images = {name: as_svg(figure) for name, figure in drawn.items()}
    for name, figure in drawn.items():
        write_atomically(path.parent / "figures" / f"{name}.png", as_png(figure))
    main = comparison.main
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
        columns=[(name, figures.metric_label(name)) for name in table_columns(comparison)],
        rows=results_table(comparison),
        images=images,
        config=config,
        versions=versions(),
        has_history=bool(history),
    )
    write_atomically(path, page)


def results_table(comparison: Comparison) -> list[dict[str, Any]]:
    """The results in the main setting, best objective first.

    **Returns:** for every optimizer its `name`; the objective, unless it is the mean training
    loss, and each metric as text "mean ± standard error"; and `diverged`, the number of runs that
    did.
    """
    evaluation = comparison.main.evaluation
    names = sorted(
        evaluation.runs, key=lambda name: _order(evaluation.summary(name, "objective").mean)
    )
    return [
        {
            "name": name,
            **{metric: _text(evaluation, name, metric) for metric in table_columns(comparison)},
            "diverged": int(evaluation.runs[name].diverged.sum()),
        }
        for name in names
    ]


def table_columns(comparison: Comparison) -> tuple[str, ...]:
    """The metrics in the table of results."""
    metrics = _metrics(comparison.main.evaluation)
    return metrics if comparison.objective == "mean loss" else ("objective", *metrics)


def _order(mean: float) -> tuple[bool, float]:
    """What is not a number comes last."""
    return (mean != mean, mean)


def _text(evaluation: Evaluation, name: str, metric: str) -> str:
    """A mean and its standard error, accuracies in per cent."""
    summary = evaluation.summary(name, metric)
    if metric.endswith("accuracy"):
        return f"{100 * summary.mean:.1f} ± {100 * summary.sem:.1f} %"
    return f"{summary.mean:.4g} ± {summary.sem:.2g}"


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
