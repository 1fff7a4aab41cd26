"""The whole reproduction: the study of a profile, then `results.json`, figures and the page."""

import json
from pathlib import Path

from l2o.runs.compare import OnProgress
from l2o.studies.multi_objective.profiles import CPU, FULL, QUICK, MultiObjectiveStudy
from l2o.studies.reproduction import Profile, Reproduction, WorkFolder, one_line_each
from l2o.studies.side_by_side import ignore_progress, run_side_by_side


def run_study(
    study: MultiObjectiveStudy,
    out: Path,
    on_progress: OnProgress,
    *,
    profile: str,
    command: str,
    num_processes: int = 1,
) -> Path:
    """Runs the study and writes all about it, going on where an earlier process stopped.

    **Arguments:** `study`; `out`, the folder for `results.json`, the figures and the page, which is
    also there as `README.md`; `on_progress`, called now and then; `profile` and `command`, to be
    named in the results; `num_processes`, that work side by side.

    **Returns:** the page.

    **Raises:** `ValueError` for a folder that holds anything else, and for missing data.
    """
    from l2o.report.pages import versions
    from l2o.studies.multi_objective.comparison import compare_methods, compare_on_problems
    from l2o.studies.multi_objective.markdown import markdown
    from l2o.studies.multi_objective.page import write_page
    from l2o.studies.multi_objective.study import MultiObjectiveRunner, available_families
    from l2o.support.atomic import write_atomically

    # Before a folder is made.
    available_families(study)
    folder = WorkFolder(out)
    folder.claim({"study": study.as_dict(), "profile": profile})
    if num_processes > 1:
        stages = MultiObjectiveRunner(study, folder, ignore_progress).stages()
        run_side_by_side(stages, num_processes, on_progress)
    done = MultiObjectiveRunner(study, folder, on_progress).run()
    results = {
        "experiment": "multi-objective",
        "paper": "Yang, Yang, Tang: Learning to optimize by multi-gradient for multi-objective "
        "optimization (arXiv 2311.00559); its numbers are not known to us",
        "profile": profile,
        "command": command,
        "versions": versions(),
        # What else has to be known of how the results came about, a sentence each.
        "remarks": [],
        "settings": study.as_dict(),
        "problem_comparison": compare_on_problems(done["problems"]),
        "comparisons": compare_methods(done["rows"], done["methods"], done["alone"]),
        **done,
    }
    # As JSON gives it back: without tuples.
    results = json.loads(json.dumps(results, allow_nan=False))
    write_atomically(out / "results.json", one_line_each(results).encode())
    write_atomically(out / "README.md", markdown(results).encode())
    return write_page(results, study, out)


MULTI_OBJECTIVE = Reproduction(
    name="multi-objective",
    description=(
        "Learned optimizers for several objectives against aggregators (after Yang, Yang and "
        "Tang 2023)."
    ),
    profiles={
        "quick": Profile(
            QUICK,
            "all parts, each as short as can be: a few minutes on two cores",
        ),
        "cpu": Profile(
            CPU,
            "all test problems, networks on digits, and on MNIST if it is there: some three hours "
            "on two cores",
        ),
        "full": Profile(
            FULL,
            "all test problems, 28x28 MNIST, 1,000 steps: for an accelerator",
        ),
    },
    run_study=run_study,
)
"""Yang, Yang and Tang."""
