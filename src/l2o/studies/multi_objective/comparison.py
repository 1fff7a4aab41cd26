"""Which methods do better than which, with intervals."""

import numpy as np

from l2o.evaluation import paired_difference
from l2o.report.plain import number, plain
from l2o.studies.multi_objective.rows import (
    LEARNED,
    Comparison,
    Difference,
    Method,
    Metrics,
    Numbers,
    OnProblem,
    OverProblems,
    Row,
    metrics_of,
)

LEVEL = "0.01"
"""Of relative criticality: what counts as reached on test problems."""
_NEVER = np.inf


def compare_on_problems(entries: list[OnProblem]) -> list[OverProblems]:
    """Each method over all test problems.

    **Arguments:** `entries`, one for each problem and method.

    **Returns:** for each method the share of runs that reached the level; those that let a loss
    rise at some step; the share of problems on which it takes the fewest steps (median over
    starts) of all methods, or as few; the median over problems of the share of the front's
    hypervolume; and its performance profile: for ratios of steps to those of the fastest method
    from the same start, the share of runs within them.
    """
    methods = list(dict.fromkeys(entry["method"] for entry in entries))
    problems = list(dict.fromkeys(entry["problem"] for entry in entries))
    steps = {
        name: np.concatenate(
            [
                [_NEVER if step is None else step for step in entry["steps_to"][LEVEL]]
                for problem in problems
                for entry in entries
                if (entry["problem"], entry["method"]) == (problem, name)
            ]
        )
        for name in methods
    }
    # A start that is critical already takes no steps; one more for all avoids a ratio to zero.
    fastest = np.min([1 + each for each in steps.values()], axis=0)
    ratios = 2.0 ** np.arange(0, 8.5, 0.5)
    found = []
    for name in methods:
        own = [entry for entry in entries if entry["method"] == name]
        with np.errstate(invalid="ignore"):
            ratio = (1 + steps[name]) / fastest
        ratio = np.where(np.isfinite(steps[name]), ratio, _NEVER)
        found.append(
            {
                "method": name,
                "reached": np.mean(np.isfinite(steps[name])),
                "runs_with_rises": np.mean(
                    np.concatenate([np.asarray(entry["rises"]) > 0 for entry in own])
                ),
                "median_criticality": np.median(
                    np.concatenate([entry["criticality"] for entry in own])
                ),
                "hypervolume_share": np.median(
                    [entry["coverage"]["hypervolume_share"] for entry in own]
                ),
                "profile": {"ratios": ratios, "shares": [np.mean(ratio <= r) for r in ratios]},
            }
        )
    return plain(found)


def compare_methods(
    rows: list[Row], methods: list[Method], alone: dict[str, Metrics]
) -> list[Comparison]:
    """Each method on each family of networks, paired with the best hand-designed one.

    The best is that with the lowest score in tuning, which was on other networks.

    **Arguments:** `rows`, one a network; `methods`, how each was tuned; `alone`, what networks
    for one target reach.

    **Returns:** one entry for each family and method: the means of all metrics, meta-seeds
    averaged; for the objective and every test metric the difference to the best hand-designed
    one with its 95 % interval over networks; the mean improvement of test losses over networks
    for one target; and the steps and seconds until the mean relative loss is where the best ends.
    """
    found = []
    for family in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == family]
        told = [each for each in methods if each["family"] == family]
        hand_designed = [each for each in told if each["from"] is None]
        best = min(hand_designed, key=_score)
        reference = _values(own, best["method"], None)
        target = _smooth(best["curve"])[-1]
        for name, source in dict.fromkeys((row["method"], row["from"]) for row in own):
            values = _values(own, name, source)
            compared = {
                metric: _difference(values[metric], reference[metric])
                for metric in values
                if metric == "objective" or metric.startswith("test_")
            }
            some = [each for each in told if (each["method"], each["from"]) == (name, source)]
            reached = [_first(_smooth(each["curve"]) <= target) for each in some]
            steps = [_NEVER if each is None else each for each in reached]
            seconds = np.median([each["seconds_per_step"] for each in some])
            found.append(
                {
                    "family": family,
                    "method": name,
                    "from": source,
                    "is_learned": name in LEARNED,
                    "is_best_hand_designed": (name, source) == (best["method"], None),
                    "means": {metric: each.mean() for metric, each in values.items()},
                    "objective_sem": values["objective"].std(ddof=1)
                    / np.sqrt(values["objective"].size),
                    "differences": compared,
                    "improvement_over_alone": _improvement(values, alone[family]),
                    "num_diverged": sum(each["num_diverged"] for each in some),
                    "steps_to_target": np.median(steps),
                    "seconds_per_step": seconds,
                    "seconds_to_target": np.median(steps) * seconds,
                }
            )
    return plain(found)


def _score(method: Method) -> float:
    """In tuning; what is not finite is the worst."""
    score = method["tuning"]["score"] if "tuning" in method else None
    return _NEVER if score is None else score


def _values(rows: list[Row], method: str, source: str | None) -> dict[str, np.ndarray]:
    """Every metric of a method, network by network, meta-seeds averaged."""
    by_seed: dict[int, list[Metrics]] = {}
    for row in rows:
        if (row["method"], row["from"]) == (method, source):
            by_seed.setdefault(row["seed"], []).append(metrics_of(row))
    return {
        metric: np.array(
            [np.mean([number(each[metric]) for each in by_seed[seed]]) for seed in sorted(by_seed)]
        )
        for metric in next(iter(by_seed.values()))[0]
    }


def _difference(values: np.ndarray, reference: np.ndarray) -> Difference:
    difference = paired_difference(values, reference)
    return {"difference": difference.mean, "interval": difference.interval}


def _improvement(values: dict[str, np.ndarray], alone: Metrics) -> float:
    """The mean over targets of how much lower the test loss is than that of a network for one."""
    shares = [
        (loss - values[name].mean()) / loss
        for name, loss in alone.items()
        if name.endswith("_loss") and loss
    ]
    return float(np.mean(shares))


def _smooth(curve: Numbers) -> np.ndarray:
    """The mean over ten steps up to each."""
    numbers = np.array([number(value) for value in curve])
    return np.array([numbers[max(0, end - 10) : end].mean() for end in range(1, len(numbers) + 1)])


def _first(condition: np.ndarray) -> int | None:
    return int(np.argmax(condition)) if condition.any() else None
