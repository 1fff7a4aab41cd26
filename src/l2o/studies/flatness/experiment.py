"""The whole reproduction: the study of a profile, then `results.json`, figures and the page."""

import json
from pathlib import Path

from l2o.runs.compare import OnProgress
from l2o.runs.making import make_family
from l2o.studies.flatness.profiles import CPU, FULL, GPU, QUICK, FlatnessStudy
from l2o.studies.reproduction import Profile, Reproduction, WorkFolder, one_line_each
from l2o.studies.side_by_side import ignore_progress, run_side_by_side


def run_study(
    study: FlatnessStudy,
    out: Path,
    on_progress: OnProgress,
    *,
    profile: str,
    command: str,
    num_processes: int = 1,
) -> Path:
    """Runs the study and writes all about it, going on where an earlier process stopped.

    **Arguments:** `study`; `out`, the folder for `results.json`, the figures and the page;
    `on_progress`, called now and then; `profile` and `command`, to be named in the results;
    `num_processes`, that work side by side.

    **Returns:** the page.

    **Raises:** `ValueError` for a folder that holds anything else, and for missing data.
    """
    from l2o.report.pages import versions
    from l2o.studies.flatness.comparison import compare_methods, compare_with_baseline
    from l2o.studies.flatness.page import write_page
    from l2o.studies.flatness.profiles import VALIDATED
    from l2o.studies.flatness.study import FlatnessRunner
    from l2o.support.atomic import write_atomically

    make_family(study.training_task, "validation")
    folder = WorkFolder(out)
    folder.claim({"study": study.as_dict(), "profile": profile})
    if num_processes > 1:
        stages = FlatnessRunner(study, folder, ignore_progress).stages()
        run_side_by_side(stages, num_processes, on_progress)
    done = FlatnessRunner(study, folder, on_progress).run()
    results = {
        "experiment": "flatness",
        "paper": "Yang, Chen, Zhu, He, Tao, Liang, Wang: Learning to Generalize Provably in "
        "Learning to Optimize (AISTATS 2023); its numbers are not known to us",
        "profile": profile,
        "command": command,
        "versions": versions(),
        "settings": study.as_dict(),
        "titles": {method.name: method.title for method in study.methods},
        "control_titles": {control.name: control.title for control in study.controls},
        "comparisons": compare_methods(done["rows"], study.levels),
        "against_baselines": [
            entry
            for name in (study.shown_baseline, VALIDATED.format(study.shown_baseline))
            for entry in compare_with_baseline(done["rows"], name, study.levels)
        ],
        **done,
    }
    # As JSON gives it back: without tuples.
    results = json.loads(json.dumps(results, allow_nan=False))
    write_atomically(out / "results.json", one_line_each(results).encode())
    return write_page(results, out)


FLATNESS = Reproduction(
    name="flatness",
    description="Whether learned optimizers can be taught to generalize (after Yang et al. 2023).",
    profiles={
        "quick": Profile(
            QUICK,
            "all parts, each as short as can be: a few minutes on two cores",
        ),
        "cpu": Profile(
            CPU,
            "200 training examples of digits, or of MNIST if it is there: within an hour on two "
            "cores",
        ),
        "gpu": Profile(
            GPU,
            "500 training examples of MNIST and CIFAR-10, 2,000 steps, and the winners of the "
            "profile cpu: minutes on an accelerator",
        ),
        "full": Profile(
            FULL,
            "500 training examples of MNIST, 10,000 steps: hours on an accelerator",
        ),
    },
    run_study=run_study,
)
"""Yang et al. 2023."""
