"""What pages tell of the results: sentences, and a table for each family of networks."""

import math
from typing import TypedDict

from l2o.studies.multi_objective.comparison import LEVEL
from l2o.studies.multi_objective.rows import Metrics, Results
from l2o.studies.parts import TunedBaseline


class TableRow(TypedDict):
    """A method, in words."""

    method: str
    is_learned: bool
    is_best: bool
    objective: str
    in_tuning: str
    difference: str
    metrics: list[str]
    improvement: str
    steps: str
    epochs: str
    milliseconds: str
    seconds: str
    num_diverged: int


class Table(TypedDict):
    """The methods on a family of networks."""

    metrics: list[str]
    """Their names."""
    rows: list[TableRow]
    alone: Metrics


def verdicts(results: Results) -> list[str]:
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
            if low is None or high is None:
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


def table(results: Results, family: str) -> Table:
    """The columns and rows of a family of networks, the best training objective first."""
    own = [each for each in results["comparisons"] if each["family"] == family]
    metrics = [name for name in own[0]["means"] if name.startswith("test_")]
    own.sort(key=lambda each: _or_worst(each["means"]["objective"]))
    tuned = {
        each["method"]: each["tuning"]
        for each in results["methods"]
        if each["family"] == family and "tuning" in each
    }
    rows: list[TableRow] = []
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


def _in_tuning(tuned: TunedBaseline | None) -> str:
    """The score in tuning, and which of the best values lie on the edge of a range."""
    if tuned is None:
        return ""
    score = "not finite" if tuned["score"] is None else f"{tuned['score']:.4f}"
    edges = f" (on the edge: {', '.join(tuned['edges'])})" if tuned["edges"] else ""
    return score + edges


def _text(value: float | None, form: str) -> str:
    return "never" if value is None else form.format(value)


def _or_worst(value: float | None) -> float:
    """What is not finite is the worst."""
    return math.inf if value is None else value
