"""How the page of a study and its figures are written."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from l2o.report.drawing import as_png, as_svg
from l2o.report.pages import render_page
from l2o.studies.study import Heading
from l2o.support.atomic import write_atomically


def write_study(
    out: Path,
    results: Heading,
    *,
    package: str,
    figures: Mapping[str, Figure],
    verdicts: Iterable[tuple[str, str]],
    settings: Any,
    **content: Any,
) -> Path:
    """Writes a page that stands by itself, and its figures into `figures/` beside it.

    **Arguments:** `out`, the folder; `results`, what `results.json` holds; `package`, which has
    `page.html.jinja`; `figures`, by name; `verdicts`, what is found, each with what it is about,
    which may be nothing; `settings`, for JSON; `content`, the template's own variables.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    for name, figure in figures.items():
        write_atomically(out / "figures" / f"{name}.png", as_png(figure, dpi=110))
    page = render_page(
        "page.html.jinja",
        package=package,
        results=results,
        images={name: as_svg(figure) for name, figure in figures.items()},
        verdicts=verdicts,
        settings=json.dumps(settings, indent=1),
        **content,
    )
    path = out / "report.html"
    write_atomically(path, page)
    return path
