"""Tuned baselines kept in a run's folder, since tuning is most of a comparison's time."""

import hashlib
import json
import math
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from l2o.composition import digest_of_code
from l2o.evaluation import Tuned, finite_or_none
from l2o.optimizers import HandDesigned
from l2o.runs.recipe import Recipe
from l2o.support.strict_json import read_json, write_json
from l2o.tasks import TaskFamily


def tuning_conditions(recipe: Recipe, family: TaskFamily) -> dict[str, Any]:
    """All that decides what tuning finds, but for the optimizer, for JSON.

    **Arguments:** `recipe`; `family`, its tasks, of whose data a digest is taken.
    """
    # As JSON gives it back, to compare with what is read: tuples become lists.
    settings = json.loads(recipe.to_json())
    return {
        "task": settings["task"],
        "code": digest_of_code(recipe.task.name) if recipe.task.is_own else None,
        "data": _digest(family),
        "objective": settings["training"]["objective"],
        "num_steps": recipe.evaluation.num_steps,
        "num_configurations": recipe.evaluation.num_configurations,
        "tuning_tasks": recipe.evaluation.tuning_tasks,
        "seed": recipe.seed,
        "double precision": bool(jax.config.read("jax_enable_x64")),
        "versions": {name: metadata.version(name) for name in ("l2o", "jax", "optax")},
    }


def keep_tuned(path: Path, tuned: Tuned, conditions: dict[str, Any]) -> None:
    """Writes what tuning found, and under which conditions."""
    content = {
        "conditions": conditions,
        "space": _space(tuned.hand_designed),
        "hyperparameters": tuned.hyperparameters,
        "outcomes": [finite_or_none(outcome) for outcome in tuned.outcomes.tolist()],
        "diverged_runs": tuned.diverged_runs,
        "configurations": {name: each.tolist() for name, each in tuned.configurations.items()},
        "scores": [finite_or_none(score) for score in tuned.scores.tolist()],
    }
    content["checksum"] = _checksum(content)
    write_json(path, content)


def kept_tuned(path: Path, hand_designed: HandDesigned, conditions: dict[str, Any]) -> Tuned | None:
    """Reads what `keep_tuned` wrote.

    **Returns:** `None` if there is nothing, if it was found under other conditions or in another
    search space, and if the file is damaged.
    """
    try:
        content = read_json(path.read_bytes(), path)
        if content.pop("checksum") != _checksum(content):
            return None
        if (content["conditions"], content["space"]) != (conditions, _space(hand_designed)):
            return None
        return Tuned(
            hand_designed=hand_designed,
            hyperparameters={
                name: float(content["hyperparameters"][name]) for name in hand_designed.space
            },
            outcomes=np.array([_or_infinite(each) for each in content["outcomes"]]),
            diverged_runs=int(content["diverged_runs"]),
            configurations={
                name: np.asarray(content["configurations"][name], np.float32)
                for name in hand_designed.space
            },
            scores=np.array([_or_infinite(score) for score in content["scores"]]),
            num_tasks=conditions["tuning_tasks"],
            num_steps=conditions["num_steps"],
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _checksum(content: dict[str, Any]) -> str:
    """By which a file that was damaged, or meddled with, is known."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(family: TaskFamily) -> str:
    """A digest of a family's data."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(family):
        array = np.asarray(leaf)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _or_infinite(score: float | None) -> float:
    """JSON has no infinity."""
    return math.inf if score is None else float(score)


def _space(hand_designed: HandDesigned) -> dict[str, str]:
    """Where each hyperparameter is searched, and its default."""
    return {
        name: f"{searched}, by default {hand_designed.defaults[name]}"
        for name, searched in hand_designed.space.items()
    }
