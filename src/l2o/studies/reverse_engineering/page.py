"""The page about the results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2o.studies.reverse_engineering import sentences

if TYPE_CHECKING:
    from markupsafe import Markup

_FIGURES = (
    (
        "figure-2-momentum",
        "Momentum",
        sentences.momentum_sentence,
        "Fixed points of the state at zero gradient are found from many starts in double "
        "precision; around the one that most starts come to rest at, the Jacobians of the state "
        "and of the input give the response to a gradient that is larger by 1 for one step. "
        "Single eigenvalues often lie too close together for their alphas to mean anything, so "
        "the momentum given is the exponential that fits the whole response best.",
    ),
    (
        "figure-3-clipping",
        "Gradient clipping",
        sentences.clipping_sentence,
        "The update function is evaluated at the initial state. Gradients are those met by the "
        "optimizer itself on fresh problems.",
    ),
    (
        "figure-4-schedule",
        "Learning-rate schedule",
        sentences.schedule_sentence,
        "The state is left to itself, with no gradient, from the initial state; the effective "
        "learning rate is minus the slope of the update function at zero gradient.",
    ),
    (
        "figure-5-adaptation",
        "Learning-rate adaptation",
        sentences.adaptation_sentence,
        "For every constant gradient the state is iterated to its fixed point, each from its "
        "neighbour's; where it does not come to rest, the line has a gap.",
    ),
)


def write_page(results: dict[str, Any], images: "Mapping[str, Markup]", path: Path) -> Path:
    """Writes a page that stands by itself.

    **Arguments:** `results`, what `results.json` holds; `images`, from `draw_figures`; `path`, of
    the page.

    **Returns:** the path.

    **Raises:** `OSError` if the file cannot be written.
    """
    from l2o.report.pages import render_page
    from l2o.support.atomic import write_atomically

    columns = results["studies"]
    page = render_page(
        "page.html.jinja",
        package="l2o.studies.reverse_engineering",
        results=results,
        columns=columns,
        sentences=sentences,
        images=images,
        verdicts=[(column["title"], sentences.performance_sentences(column)) for column in columns],
        figures=[
            {
                "image": images[name],
                "title": title,
                "sentences": [(column["title"], sentence(column)) for column in columns],
                "method": method,
            }
            for name, title, sentence, method in _FIGURES
        ],
        settings=json.dumps([column["settings"] for column in columns], indent=1),
    )
    write_atomically(path, page)
    return path
