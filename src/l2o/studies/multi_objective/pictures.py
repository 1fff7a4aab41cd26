"""Pictures of test problems: fronts and what was found, ways and critical sets."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from l2o.multiobjective import ML2O
from l2o.report.fronts import front_and_found, paths_and_critical_set
from l2o.studies.multi_objective.methods import AGGREGATORS, problems
from l2o.studies.multi_objective.problem_runs import methods, run
from l2o.studies.multi_objective.rows import Results
from l2o.studies.parts import optimizer_of

_DRAWN_METHODS = ("mean", "UPGrad", "ML2O", "GML2O")
_DRAWN_STARTS = 3


def draw_problems(results: Results, run_folder: Path) -> dict[str, Figure]:
    """Draws those problems that can be.

    **Arguments:** `results`, what `results.json` holds; `run_folder`, that of the meta-training for
    problems. Where it is not there, ways are left out.
    """
    settings = results["settings"]["problems"]
    learned = optimizer_of(run_folder) if run_folder.exists() else None
    figures = {}
    for name in settings["problems"]:
        problem = problems()[name]
        of_problem = {
            each["method"]: each for each in results["problems"] if each["problem"] == name
        }
        entries = {name: of_problem[name] for name in _DRAWN_METHODS if name in of_problem}
        front = np.asarray(problem.front(300))
        if front.shape[1] != 2:
            continue
        found = {
            method: np.array(entry["losses"], dtype=float) for method, entry in entries.items()
        }
        figures[f"front {name}"] = front_and_found(front, found)
        critical = np.asarray(problem.critical_set(300))
        if critical.shape[1] == 2 and isinstance(learned, ML2O):
            aggregators = [method for method in entries if method in AGGREGATORS]
            known = methods(aggregators, learned, 2)
            ways = {
                method: np.asarray(
                    run(
                        problem,
                        known[method],
                        jnp.array([entry["factor"]]),
                        num_starts=_DRAWN_STARTS,
                        num_steps=settings["num_steps"],
                    ).params[0]
                )
                for method, entry in entries.items()
            }
            figures[f"paths {name}"] = paths_and_critical_set(critical, ways)
    return figures
