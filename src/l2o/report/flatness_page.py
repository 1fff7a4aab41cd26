"""The page about how flat the minima are that an optimizer finds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from l2o.evaluation import Summary, metric_label, paired_difference
from l2o.flatness import LossSurface
from l2o.report.files import LOSS_LINES, LOSS_PLANES
from l2o.report.flatness import loss_lines, loss_planes
from l2o.report.interactive import place, scripts
from l2o.report.pages import render_page, versions
from l2o.report.verdict import listing, too_few
from l2o.support.atomic import write_atomically

Values = Mapping[str, Float[np.ndarray, " tasks"]]

_FLATNESS = "spectral_norm"


def write_flatness(
    values: Mapping[str, Values],
    lines: Mapping[str, LossSurface],
    planes: Mapping[str, LossSurface],
    path: Path,
    *,
    title: str,
    seed: int,
) -> None:
    """Writes a page that stands by itself, and its pictures beside it.

    **Arguments:** `values`, by optimizer, the learned one first, and by metric, one for each
    network, with `spectral_norm` among them; `lines` and `planes`, of the loss around where
    training ends, as for `loss_lines` and `loss_planes`; `path`, of the page; `title`, the task and
    the number of steps; `seed`, of tasks, initialisations and minibatches.

    **Raises:** `OSError` if a file cannot be written.
    """
    summaries = {
        name: {metric: Summary.of(numbers) for metric, numbers in metrics.items()}
        for name, metrics in values.items()
    }
    learned, num_tasks = next(iter(values)), len(next(iter(values.values()))[_FLATNESS])
    page = render_page(
        "flatness.html.jinja",
        title=f"How flat the minima of {learned} are",
        finding=finding(values),
        learned=learned,
        setting=title,
        seed=seed,
        num_tasks=num_tasks,
        columns={metric: metric_label(metric) for metric in summaries[learned]},
        summaries=summaries,
        lines=place(loss_lines(lines), path.parent, LOSS_LINES),
        planes=place(loss_planes(planes), path.parent, LOSS_PLANES),
        scripts=scripts(),
        versions=versions(),
    )
    write_atomically(path, page)


def finding(values: Mapping[str, Values]) -> str:
    """Whether the first optimizer ends where the loss is flatter than where the others end.

    **Arguments:** `values`, as for `write_flatness`.
    """
    learned, *others = values
    verdicts = {
        name: paired_difference(values[learned][_FLATNESS], values[name][_FLATNESS]).verdict
        for name in others
    }
    told = [
        f"{sentence} {listing(names)}"
        for verdict, sentence in (
            ("better", "flatter than at the ends of"),
            ("worse", "sharper than at the ends of"),
            ("undecided", "as far as can be told neither flatter nor sharper than at the ends of"),
        )
        if (names := tuple(name for name, each in verdicts.items() if each == verdict))
    ]
    among = ", ".join(told) if told else "compared with none"
    num_tasks = len(values[learned][_FLATNESS])
    few = too_few(num_tasks, "networks") if others else ""
    return (
        f"Where {learned} ends, the loss is {among} (largest curvature of the training loss, over "
        f"{num_tasks} paired networks). {few}"
    ).rstrip()
