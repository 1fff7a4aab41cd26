"""What the studies do in which order, with parts that cost nothing: on whatever executor, however
often they are interrupted, every part is done once and the results are the same."""

import hashlib
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from l2o.studies.flatness import parts as flatness_parts, study as flatness
from l2o.studies.flatness.profiles import CPU
from l2o.studies.multi_objective import network_runs, problem_runs, study as multi_objective
from l2o.studies.multi_objective.profiles import CPU as MULTI_OBJECTIVE
from l2o.studies.reverse_engineering import (
    parts as reverse_engineering_parts,
    study as reverse_engineering,
)
from l2o.studies.reverse_engineering.profiles import CPU as REVERSE_ENGINEERING
from l2o.studies.work import Work

FLATNESS = replace(CPU, num_seeds=2, optimizees=CPU.optimizees[:2], meta_seeds=(1, 2), levels=())

STUDIES = {
    "flatness": (flatness.STUDY, FLATNESS),
    "multi-objective": (multi_objective.STUDY, MULTI_OBJECTIVE),
    "reverse-engineering": (reverse_engineering.STUDY, REVERSE_ENGINEERING),
}


class KilledError(Exception):
    pass


def unit(*arguments):
    """A number that these arguments decide; of folders, their names."""
    named = [each.name if isinstance(each, Path) else each for each in arguments]
    return int(hashlib.sha256(repr(named).encode()).hexdigest()[:8], 16) / 2**32


def several(number, *arguments):
    first = unit(*arguments)
    return [unit(index, first) for index in range(number)]


class Parts:
    """Parts that cost nothing, which are counted, and a kill after so many."""

    def __init__(self):
        self.done = Counter()
        self.left = None
        self._lock = threading.Lock()

    def instead_of(self, name, compute):
        def part(report, *arguments):
            key = (name, repr([x.name if isinstance(x, Path) else x for x in arguments]))
            with self._lock:
                if self.left == 0:
                    raise KilledError
                self.left = None if self.left is None else self.left - 1
                self.done[key] += 1
            return compute(*arguments)

        return part


def tuned(*arguments):
    return {"name": "x", "hyperparameters": {}, "score": unit(*arguments), "edges": []}


def trained(recipe, folder):
    return {"seed": recipe.seed, "score": unit(folder), "num_skipped": 0, "resumed_from_step": 0}


def judged(study, *arguments):
    return {
        "objective": several(study.num_seeds, *arguments),
        "test_a_loss": several(study.num_seeds, "loss", *arguments),
        "num_diverged": 0,
        "curve": several(20, *arguments),
        "seconds_per_step": 0.5,
    }


def judged_on_problem(study, name, method, folder):
    starts = several(study.num_starts, name, method, folder)
    return {
        "steps_to": {"0.01": [int(100 * start) for start in starts]},
        "rises": [0 for _ in starts],
        "criticality": starts,
        "coverage": {"hypervolume_share": starts[0]},
    }


def compared(study, learned, baselines):
    return {
        "optimizers": [
            {"seed": seed, "name": f"{seed}", "objective": {"mean": unit(study.name, seed)}}
            for seed in learned
        ]
    }


def found(study, seed, folder):
    adaptation = {"present": True, "gradients": [-1.0, 1.0], "effective_learning_rate": [1.0, 1.0]}
    return {
        "seed": seed,
        "momentum": {"present": unit(seed) > 0.5},
        "clipping": {"saturates": False, "share_of_gradients_beyond_half_height": 0.0},
        "schedule": {"present": True, "rise": 1.2, "fall": 0.5},
        "adaptation": adaptation,
    }


@pytest.fixture
def parts(monkeypatch):
    """In place of all that takes time, and data that may not be there."""
    parts = Parts()
    losses = ("validation_loss", "train_loss")
    metrics = flatness_parts.metrics_of(FLATNESS)
    instead = {
        flatness_parts: {
            "train": trained,
            "validate": lambda source, study, controlled: {
                name: unit(name, source, controlled) for name in losses
            },
            "judge": lambda source, study, task, controlled: {
                metric: several(study.num_seeds, source, task, controlled) for metric in metrics
            },
            "look_along": lambda source, study, task: {"steps": [0]},
            "look_around": lambda source, study, task: {"1": {}, "2": {}},
        },
        flatness: {"tune": tuned},
        network_runs: {
            "train": trained,
            "tune_behind": tuned,
            "judge_tuned": judged,
            "judge_learned": judged,
            "train_alone": lambda study, family: {"test_a_loss": unit(family.name)},
        },
        problem_runs: {"judge_on_problem": judged_on_problem},
        reverse_engineering_parts: {
            "train": trained,
            "compare": compared,
            "find_mechanisms": found,
            "distill": lambda study, seed, folder, baselines: {"seed": seed},
        },
        reverse_engineering: {"tune": tuned},
    }
    for module, functions in instead.items():
        for name, compute in functions.items():
            monkeypatch.setattr(module, name, parts.instead_of(f"{module}.{name}", compute))
    monkeypatch.setattr(flatness, "_is_there", lambda task: True)
    families = list(MULTI_OBJECTIVE.networks.families)
    monkeypatch.setattr(multi_objective, "available_families", lambda study: (families, []))
    monkeypatch.setattr(network_runs, "steps_per_epoch", lambda family: 10.0)
    return parts


def results(name, folder, executor=None):
    study, settings = STUDIES[name]
    with Work(folder, lambda progress: None, executor) as work:
        done = study.results({"experiment": name}, settings, work)
    return without_times(json.loads(json.dumps(done)))


def without_times(value):
    if isinstance(value, dict):
        times = ("seconds", "cpu_seconds", "cost")
        return {name: without_times(each) for name, each in value.items() if name not in times}
    return list(map(without_times, value)) if isinstance(value, list) else value


def names(folder):
    return {str(path.relative_to(folder)) for path in (folder / "parts").rglob("*.json")}


@pytest.mark.parametrize("name", STUDIES)
def test_results_and_parts_are_the_same_on_an_executor(name, parts, tmp_path):
    here = results(name, tmp_path / "here")
    done, parts.done = parts.done, Counter()
    assert set(done.values()) == {1}
    with ThreadPoolExecutor(3) as executor:
        assert results(name, tmp_path / "there", executor) == here
    assert parts.done.total() == done.total()
    assert set(parts.done.values()) == {1}
    assert names(tmp_path / "there") == names(tmp_path / "here")
    assert len(names(tmp_path / "here")) == done.total()


@pytest.mark.parametrize("processes", [0, 3])
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_goes_on_wherever_it_is_killed(name, processes, parts, tmp_path):
    whole = results(name, tmp_path / "whole")
    total, parts.done = parts.done.total(), Counter()
    out = tmp_path / "killed"

    def run():
        if not processes:
            return results(name, out)
        with ThreadPoolExecutor(processes) as executor:
            return results(name, out, executor)

    kills = 0
    while parts.done.total() < total:
        # A third of what there is at a time.
        parts.left = total // 3 + 1
        if parts.done.total() + parts.left > total:
            break
        with pytest.raises(KilledError):
            run()
        kills += 1
        assert len(names(out)) == parts.done.total() < total
    parts.left = None
    assert run() == whole
    assert kills == 2
    assert set(parts.done.values()) == {1}
    assert parts.done.total() == total


def test_choices_of_the_flatness_study_are_the_lowest(parts, tmp_path):
    done = results("flatness", tmp_path)
    trained = {(each["architecture"], each["learning_rate"]) for each in done["meta_training"]}
    assert len(trained) == len(done["learning_rates"]) == 3
    for architecture, choice in done["learning_rates"].items():
        assert (architecture, choice["chosen"]) in trained
        lowest = min(choice["tried"], key=lambda each: each["score"])
        assert choice["chosen"] == lowest["learning_rate"]
    for methods in done["weights"].values():
        for choice in methods.values():
            tried = sorted(choice["tried"], key=lambda each: each["validation_loss"])
            assert choice["chosen"] is None if not tried else choice["chosen"] == tried[0]["weight"]
    # Every architecture, method, kind of training, meta-seed, kind of network and network.
    cells = Counter(
        (row["architecture"], row["regularizer"], row["enhanced"], row["control"])
        for row in done["rows"]
        if row["meta_seed"] is not None
    )
    assert cells["RNNProp", "plain", False, None] == 2 * 2 * 2
    assert set(cells.values()) == {2 * 2 * 2}
    assert len(cells) == (9 + 7 + 7) + (3 + 2 + 2) + 2


def test_the_best_aggregators_are_tuned_once_more_and_the_better_tuning_is_taken(parts, tmp_path):
    results("multi-objective", tmp_path)
    for family in MULTI_OBJECTIVE.networks.families:
        folder = tmp_path / "parts" / "tuning" / family.name
        scores = {
            path.stem: json.loads(path.read_text())["score"] for path in folder.glob("*.json")
        }
        again = {name.removesuffix(", once more") for name in scores if "once" in name}
        first = {name: score for name, score in scores.items() if "once" not in name}
        assert first.keys() == set(family.aggregators)
        assert again == set(sorted(first, key=first.__getitem__)[:5])


def test_the_middle_seed_is_distilled(parts, tmp_path):
    for column in results("reverse-engineering", tmp_path)["studies"]:
        seeds = column["settings"]["meta_seeds"]
        means = {seed: unit(column["name"], seed) for seed in seeds}
        in_order = sorted(seeds, key=means.__getitem__)
        assert column["shown_seed"] == in_order[(len(seeds) - 1) // 2]
        assert column["distillation"]["seed"] == column["shown_seed"]
        assert [each["seed"] for each in column["mechanisms"]] == seeds
