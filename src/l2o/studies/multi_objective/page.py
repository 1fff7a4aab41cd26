"""The page about the results."""

from pathlib import Path

from l2o.studies.multi_objective.comparison import LEVEL
from l2o.studies.multi_objective.figures import draw_criticality, draw_losses, draw_profiles
from l2o.studies.multi_objective.markdown import markdown
from l2o.studies.multi_objective.pictures import draw_problems
from l2o.studies.multi_objective.rows import Results
from l2o.studies.multi_objective.tables import table, verdicts
from l2o.studies.pages import write_study
from l2o.support.atomic import write_atomically


def write_pages(results: Results, out: Path) -> Path:
    """Writes a page that stands by itself, the same as `README.md`, and figures into `figures/`.

    **Arguments:** `results`, what `results.json` holds; `out`, the folder, whose `runs/problems`
    has the optimizer that is shown on its way.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    write_atomically(out / "README.md", markdown(results).encode())
    return write_study(
        out,
        results,
        package="l2o.studies.multi_objective",
        figures={
            "losses": draw_losses(results),
            "criticality": draw_criticality(results),
            "profiles": draw_profiles(results),
            **draw_problems(results, out / "runs" / "problems"),
        },
        verdicts=[("", sentence) for sentence in verdicts(results)],
        settings=results["settings"],
        level=LEVEL,
        families=[
            {"name": family, **table(results, family)}
            for family in dict.fromkeys(each["family"] for each in results["comparisons"])
        ],
    )
