"""The page about the results."""

from pathlib import Path

from l2o.studies.pages import write_study
from l2o.studies.reverse_engineering import sentences
from l2o.studies.reverse_engineering.figures import draw_all
from l2o.studies.reverse_engineering.markdown import markdown
from l2o.studies.reverse_engineering.rows import Results
from l2o.support.atomic import write_atomically

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


def write_pages(results: Results, out: Path) -> Path:
    """Writes a page that stands by itself, the same as `README.md`, and figures into `figures/`.

    **Arguments:** `results`, what `results.json` holds; `out`, the folder.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    columns = results["studies"]
    write_atomically(out / "README.md", markdown(results).encode())
    return write_study(
        out,
        results,
        package="l2o.studies.reverse_engineering",
        figures=draw_all(results),
        verdicts=[
            (column["title"], line)
            for column in columns
            for line in sentences.performance_sentences(column)
        ],
        settings=[column["settings"] for column in columns],
        columns=columns,
        sentences=sentences,
        sections=[
            {
                "figure": name,
                "title": title,
                "sentences": [(column["title"], sentence(column)) for column in columns],
                "method": method,
            }
            for name, title, sentence, method in _FIGURES
        ],
    )
