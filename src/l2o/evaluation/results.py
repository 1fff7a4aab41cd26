"""The results of a comparison as a table, for screens and pages, from the numbers in JSON."""

from collections.abc import Mapping
from typing import Any

_LABELS = {
    "objective": "the objective",
    "mean_train_loss": "mean training loss",
    "final_train_loss": "final training loss",
}


def metric_label(metric: str) -> str:
    """The name of a metric in words.

    ```pycon
    >>> l2o.evaluation.metric_label("mean_train_loss")
    'mean training loss'
    ```
    """
    return _LABELS.get(metric, metric.replace("_", " "))


def metrics_of(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics in an optimizer's part of an evaluation, which have a mean and its error.

    ```pycon
    >>> l2o.evaluation.metrics_of({"name": "adam", "test_loss": {"mean": 0.1, "sem": 0.01}})
    ('test_loss',)
    ```
    """
    return tuple(
        name
        for name, value in result.items()
        if isinstance(value, dict) and value.keys() >= {"mean", "sem"}
    )


def results_table(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    """The results of an evaluation, best objective first.

    **Arguments:** `evaluation`, with `results` as `Evaluation.as_dict` has them; an `objective`
    among their metrics goes before the mean training loss.

    **Returns:** for every optimizer its `name`; each metric as text, "mean ± standard error",
    accuracies in per cent; and `diverged`, the number of runs that did.

    ```pycon
    >>> losses = np.array([[4.0, 1.0], [2.0, 1.0]])
    >>> runs = l2o.evaluation.Runs(losses, objective=losses.mean(1), held_out={})
    >>> evaluation = l2o.evaluation.Evaluation({"mine": runs}, num_tasks=2, num_steps=1)
    >>> l2o.evaluation.results_table(evaluation.as_dict())[0]["mean_train_loss"]
    '2 ± 0.5'
    ```
    """
    results = evaluation["results"]
    metrics = metrics_of(results[0])
    judged = "objective" if "objective" in metrics else "mean_train_loss"

    def order(result: Mapping[str, Any]) -> tuple[bool, float]:
        # What is not finite comes last.
        mean = result[judged]["mean"] if judged in metrics else 0.0
        return (mean is None, 0.0 if mean is None else float(mean))

    return [
        {
            "name": result["name"],
            **{metric: _text(metric, result[metric]) for metric in metrics},
            "diverged": str(result["diverged"]),
        }
        for result in sorted(results, key=order)
    ]


def _text(metric: str, summary: Mapping[str, Any]) -> str:
    """A mean and its standard error, of which a single run has none."""
    mean, sem = summary["mean"], summary["sem"]
    if mean is None:
        return "not finite"
    if metric.endswith("accuracy"):
        return f"{100 * mean:.1f} %" if sem is None else f"{100 * mean:.1f} ± {100 * sem:.1f} %"
    return f"{mean:.4g}" if sem is None else f"{mean:.4g} ± {sem:.2g}"
