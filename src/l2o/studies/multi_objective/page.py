"""The page about the results."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from l2o.studies.multi_objective.comparison import LEVEL
from l2o.studies.multi_objective.profiles import MultiObjectiveStudy

_DRAWN_METHODS = ("mean", "UPGrad", "ML2O", "GML2O")
_DRAWN_STARTS = 3


def write_page(results: dict[str, Any], study: MultiObjectiveStudy, out: Path) -> Path:
    """Writes a page that stands by itself, and its figures into `figures/` beside it.

    **Arguments:** `results`, what `results.json` holds; `study`; `out`, the folder.

    **Returns:** the path of the page.

    **Raises:** `OSError` if a file cannot be written.
    """
    from l2o.report.drawing import as_png, as_svg
    from l2o.report.pages import render_page
    from l2o.studies.multi_objective.figures import (
        draw_criticality,
        draw_losses,
        draw_profiles,
    )
    from l2o.support.atomic import write_atomically

    figures = {
        "losses": draw_losses(results),
        "criticality": draw_criticality(results),
        "profiles": draw_profiles(results),
        **_pictures(results, study, out),
    }
    for name, figure in figures.items():
        write_atomically(out / "figures" / f"{name}.png", as_png(figure, dpi=110))
    page = render_page(
        "page.html.jinja",
        package="l2o.studies.multi_objective",
        results=results,
        level=LEVEL,
        verdicts=verdicts(results),
        families=[
            {"name": family, **table(results, family)}
            for family in dict.fromkeys(each["family"] for each in results["comparisons"])
        ],
        images={name: as_svg(figure) for name, figure in figures.items()},
    )
    path = out / "report.html"
    write_atomically(path, page)
    return path


def verdicts(results: dict[str, Any]) -> list[str]:
    """What follows from the numbers, a sentence for each learned method and family."""
    sentences = []
    for family in dict.fromkeys(each["family"] for each in results["comparisons"]):
        own = [each for each in results["comparisons"] if each["family"] == family]
        (best,) = [each for each in own if each["is_best_hand_designed"]]
        for each in own:
            if not each["is_learned"]:
                continue
            found = each["differences"]["objective"]
            low, high = found["interval"]
            if low is None:
                verdict = "diverges on some networks, so that no difference can be given"
            elif high < 0:
                verdict = "has a lower training objective than"
            elif low > 0:
                verdict = "has a higher training objective than"
            else:
                verdict = "cannot be told in training objective from"
            numbers = "" if low is None else f" (difference {low:+.3g} to {high:+.3g}, paired)"
            other = "" if low is None else f" {best['method']} with Adam, the best when tuned"
            sentences.append(
                f"{family}: {each['method']}, meta-trained on {each['from']}, {verdict}{other}"
                f"{numbers}."
            )
    by_method = {each["method"]: each for each in results["problem_comparison"]}
    for name in ("ML2O", "GML2O"):
        each = by_method[name]
        sentences.append(
            f"Test problems: {name} reaches a relative criticality of {LEVEL} in "
            f"{100 * each['reached']:.0f} % of runs, and lets some loss rise in "
            f"{100 * each['runs_with_rises']:.0f} %."
        )
    return sentences


def table(results: dict[str, Any], family: str) -> dict[str, Any]:
    """The columns and rows of a family of networks, the best training objective first."""
    own = [each for each in results["comparisons"] if each["family"] == family]
    metrics = [name for name in own[0]["means"] if name.startswith("test_")]
    own.sort(
        key=lambda each: (
            np.inf if each["means"]["objective"] is None else each["means"]["objective"]
        )
    )
    tuned = {
        each["method"]: each["tuning"]
        for each in results["methods"]
        if each["family"] == family and each.get("tuning")
    }
    rows = []
    for each in own:
        interval = each["differences"]["objective"]["interval"]
        source = "" if each["from"] in (None, family) else f", from {each['from']}"
        rows.append(
            {
                "method": each["method"] + source,
                "is_learned": each["is_learned"],
                "is_best": each["is_best_hand_designed"],
                "objective": _text(each["means"]["objective"], "{:.4f}"),
                "in_tuning": _in_tuning(tuned.get(each["method"])),
                "difference": "not finite"
                if interval[0] is None
                else f"{interval[0]:+.4f} to {interval[1]:+.4f}",
                "metrics": [
                    _text(
                        each["means"][name],
                        "{:.1%}" if name.endswith("accuracy") else "{:.3g}",
                    )
                    for name in metrics
                ],
                "improvement": _text(each["improvement_over_alone"], "{:+.1%}"),
                "steps": _text(each["steps_to_target"], "{:.0f}"),
                "epochs": _text(
                    None
                    if each["steps_to_target"] is None
                    else each["steps_to_target"] / results["steps_per_epoch"][family],
                    "{:.2g}",
                ),
                "milliseconds": _text(1000 * each["seconds_per_step"], "{:.2f}"),
                "seconds": _text(each["seconds_to_target"], "{:.2f}"),
                "num_diverged": each["num_diverged"],
            }
        )
    return {"metrics": metrics, "rows": rows, "alone": results["alone"][family]}


def _in_tuning(tuned: dict[str, Any] | None) -> str:
    """The score in tuning, and which of the best values lie on the edge of a range."""
    if tuned is None:
        return ""
    score = "not finite" if tuned["score"] is None else f"{tuned['score']:.4f}"
    edges = f" (on the edge: {', '.join(tuned['edges'])})" if tuned["edges"] else ""
    return score + edges


def _text(value: float | None, form: str) -> str:
    return "never" if value is None else form.format(value)


def _pictures(results: dict[str, Any], study: MultiObjectiveStudy, out: Path) -> dict[str, Figure]:
    """Fronts and ways, of those problems that can be drawn."""
    import jax.numpy as jnp

    from l2o.deploy import load
    from l2o.multiobjective import ML2O
    from l2o.report.fronts import front_and_found, paths_and_critical_set
    from l2o.studies.multi_objective.methods import problems
    from l2o.studies.multi_objective.problem_runs import methods, run

    learned = load(out / "runs" / "problems" / "optimizer")
    assert isinstance(learned, ML2O)
    factors = {(each["problem"], each["method"]): each for each in results["problems"]}
    figures = {}
    for name in study.problems.problems:
        problem = problems()[name]
        entries = {
            method: factors[name, method] for method in _DRAWN_METHODS if (name, method) in factors
        }
        front = np.asarray(problem.front(300))
        if front.shape[1] != 2:
            continue
        found = {
            method: np.array(entry["losses"], dtype=float) for method, entry in entries.items()
        }
        figures[f"front {name}"] = front_and_found(front, found)
        critical = np.asarray(problem.critical_set(300))
        if critical.shape[1] == 2:
            own = methods(study.problems, learned, 2)
            drawn = replace(study.problems, tuning_starts=0, num_starts=_DRAWN_STARTS)
            ways = {
                method: np.asarray(
                    run(drawn, problem, own[method], jnp.array([entry["factor"]])).params[0]
                )
                for method, entry in entries.items()
            }
            figures[f"paths {name}"] = paths_and_critical_set(critical, ways)
    return figures
