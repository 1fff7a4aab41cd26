"""The whole reproduction: all studies of a profile, then `results.json`, figures and the page."""

import json
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from l2o.runs.compare import OnProgress
from l2o.studies.reproduction import Profile, Reproduction, WorkFolder
from l2o.studies.reverse_engineering.profiles import CPU, FULL, QUICK, Study
from l2o.studies.side_by_side import ignore_progress, run_side_by_side


def run_studies(
    studies: Sequence[Study],
    out: Path,
    on_progress: OnProgress,
    *,
    profile: str,
    command: str,
    num_processes: int = 1,
) -> Path:
    """Runs studies and writes all about them, going on where an earlier process stopped.

    **Arguments:** `studies`; `out`, the folder for `results.json`, the figures and the page, which
    is also there as `README.md`; `on_progress`, called now and then; `profile` and `command`, to
    be named in the results; `num_processes`, that work side by side.

    **Returns:** the page.

    **Raises:** `ValueError` for a folder that holds anything else.
    """
    from l2o.report.pages import versions
    from l2o.studies.reverse_engineering.figures import draw_figures
    from l2o.studies.reverse_engineering.markdown import markdown
    from l2o.studies.reverse_engineering.page import write_page
    from l2o.studies.reverse_engineering.study import StudyRunner
    from l2o.support.atomic import write_atomically

    studies, left_out = _with_data(studies)
    folder = WorkFolder(out)
    folder.claim({"studies": [study.as_dict() for study in studies], "profile": profile})
    if num_processes > 1:
        of_studies = [StudyRunner(study, folder, ignore_progress).stages() for study in studies]
        # What can be done at once in one study can be in all.
        stages = [list(chain(*at_once)) for at_once in zip(*of_studies, strict=True)]
        run_side_by_side(stages, num_processes, on_progress)
    done = [StudyRunner(study, folder, on_progress).run() for study in studies]
    results = {
        "experiment": "reverse-engineering",
        "paper": "Maheswaranathan, Sussillo, Metz, Sun, Sohl-Dickstein: Reverse engineering "
        "learned optimizers reveals known and novel mechanisms (NeurIPS 2021, arXiv 2011.02159)",
        "profile": profile,
        "command": command,
        "versions": versions(),
        "left_out": left_out,
        "cost": _cost(done),
        "remarks": remarks_on(done),
        "studies": done,
    }
    write_atomically(out / "results.json", _compact(results).encode())
    write_atomically(out / "README.md", markdown(results).encode())
    images = draw_figures(results, studies, out / "figures")
    return write_page(results, images, out / "report.html")


def _with_data(studies: Sequence[Study]) -> tuple[list[Study], dict[str, str]]:
    """The studies whose data are there, and why the others are left out."""
    from l2o.tasks.datasets import DataError

    kept, left_out = [], {}
    for study in studies:
        try:
            study.family("test")
        except DataError as error:
            left_out[study.name] = str(error)
        else:
            kept.append(study)
    return kept, left_out


def remarks_on(done: Sequence[dict[str, Any]]) -> list[str]:
    """What has to be known of how the results came about, a sentence each."""
    trained = [run for study in done for run in study["meta_training"]]
    resumed = sum(run["resumed_from_step"] > 0 for run in trained)
    if not resumed:
        return []
    return [
        f"{resumed} of {len(trained)} meta-trainings were interrupted and resumed; what they took "
        "before is not in the minutes of computing."
    ]


def _cost(done: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Seconds that the parts took, by study and kind of part."""

    def total(parts: Sequence[dict[str, Any]]) -> dict[str, float]:
        return {
            measure: round(sum(part[measure] for part in parts), 1)
            for measure in ("seconds", "cpu_seconds")
        }

    return {
        study["name"]: {
            "meta_training": total(study["meta_training"]),
            "tuning": total(study["baselines"]),
            "comparison": total([study["performance"]]),
            "analyses": total(study["mechanisms"]),
            "distillation": total([study["distillation"]]),
        }
        for study in done
    }


def _compact(results: dict[str, Any]) -> str:
    """JSON with one line for each list of numbers."""
    text = json.dumps(results, allow_nan=False, indent=1)
    return re.sub(r"\[[^][{}\"]*\]", lambda found: "".join(found[0].split()), text)


REVERSE_ENGINEERING = Reproduction(
    name="reverse-engineering",
    description="How learned optimizers work (Maheswaranathan et al. 2021), figures 1 to 5.",
    profiles={
        "quick": Profile(
            QUICK,
            "all parts, each as short as can be: a few minutes on two cores",
        ),
        "cpu": Profile(
            CPU,
            "64 units, smaller networks: within an hour on two cores",
        ),
        "full": Profile(
            FULL,
            "256 units, the published settings where there are some: for an accelerator",
        ),
    },
    run_study=run_studies,
)
"""Maheswaranathan et al. 2021."""
