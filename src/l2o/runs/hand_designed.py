"""The names of hand-designed optimizers; JAX is left alone.

Those for one loss have names of their own. For several losses each goes behind each weighting, and
is called WEIGHTING-OPTIMIZER, such as upgrad-adam, or cagrad(c=0.2)-adam with settings of the
weighting. With a schedule of its learning rate it is OPTIMIZER-SCHEDULE, such as adamw-cosine.
"""

import json
from functools import cache
from typing import Any

from l2o.composition import (
    LEARNED_OPTIMIZER,
    WEIGHTING,
    behind_weightings,
    members,
    names_behind_weightings,
    refuse_optimizer,
)
from l2o.support.kinds import held_to_kinds

HAND_DESIGNED: dict[str, str] = {
    "sgd": "Gradient descent.",
    "momentum": "Gradient descent with the heavy ball (Polyak 1964).",
    "nesterov": "Gradient descent with Nesterov's momentum.",
    "rmsprop": "RMSProp (Hinton 2012), without momentum.",
    "adam": "Adam (Kingma and Ba 2015).",
    "adamw": "Adam with decoupled weight decay (Loshchilov and Hutter 2019).",
    "sam": "Sharpness-aware minimization (Foret et al. 2021); two gradients a step.",
    "adagrad": "AdaGrad (Duchi et al. 2011).",
    "lion": "Lion (Chen et al. 2023), the sign of a momentum.",
    "adan": "Adan (Xie et al. 2022), Adam with a Nesterov momentum of its own.",
    "nadamw": "AdamW with Nesterov's momentum (Dozat 2016).",
    "muon": "Muon (Jordan et al. 2024) for matrices, AdamW for vectors and embeddings.",
    "orthogonal-nadamw": "NAdamW whose directions of matrices are orthogonalised as in Muon.",
    "schedule-free-adamw": "Schedule-Free AdamW (Defazio et al. 2024), judged at its average.",
    "prodigy": "Prodigy (Mishchenko and Defazio 2024), AdamW that finds its step size.",
    "ademamix": "AdEMAMix (Pagliardini et al. 2024), AdamW with a second, slow momentum.",
}
"""Those for one loss, and what each one is."""

SCHEDULES: dict[str, str] = {
    "cosine": "Any of these with warm-up, then down to zero along a cosine over the run.",
    "warm-up": "Any of these with warm-up, then a constant learning rate.",
}
"""Schedules of the learning rate, behind the name of an optimizer."""

WITHOUT_COSINE = "schedule-free-adamw"
"""Its averages stand for a falling learning rate, and take no other."""

BEHIND_NO_WEIGHTING = "sam"
"""It takes the second gradient itself, of one loss."""


@cache
def _behind_weightings() -> dict[str, tuple[str, str]]:
    """The weighting and the optimizer that each name for several losses stands for."""
    return behind_weightings(each for each in HAND_DESIGNED if each != BEHIND_NO_WEIGHTING)


def split_name(name: str) -> tuple[str | None, dict[str, Any], str]:
    """The weighting, its settings, and the optimizer of a name, without JAX.

    >>> split_name("cagrad(c=0.2)-adam")
    ('cagrad', {'c': 0.2}, 'adam')
    >>> split_name("adam-cosine")
    (None, {}, 'adam-cosine')

    **Raises:** `ValueError` for an unknown name, with the nearest one that there is, and for
    settings that cannot be read.
    """
    unscheduled, schedule = split_schedule(name)
    first, parenthesis, rest = unscheduled.partition("(")
    texts, _, optimizer = rest.partition(")-")
    if parenthesis and not optimizer:
        raise ValueError(
            f"The settings of a weighting stand in parentheses, then the optimizer, as in "
            f"cagrad(c=0.2)-adam; got {name}."
        )
    plain = f"{first}-{optimizer}" if parenthesis else unscheduled
    if plain in members(WEIGHTING):
        raise ValueError(
            f"{plain} weights several losses: name an optimizer behind it, as in {plain}-adam."
        )
    if plain not in HAND_DESIGNED and plain not in _behind_weightings():
        if plain in members(LEARNED_OPTIMIZER) | names_behind_weightings(LEARNED_OPTIMIZER):
            raise ValueError(
                f"{plain} is a learned optimizer, and this takes hand-designed ones (see `l2o "
                f"list`): meta-train it with `l2o train --task TASK --optimizer {plain}`."
            )
        refuse_optimizer(
            "A hand-designed optimizer",
            plain,
            HAND_DESIGNED,
            [optimizer for _, optimizer in _behind_weightings().values()],
            f"one of these but {BEHIND_NO_WEIGHTING} behind a weighting, such as upgrad-adam or "
            "cagrad(c=0.2)-adam (see `l2o list`)",
        )
    weighting, optimizer = _behind_weightings().get(plain, (None, plain))
    if schedule is not None:
        if (optimizer, schedule) == (WITHOUT_COSINE, "cosine"):
            raise ValueError(
                f"{optimizer} averages instead of a falling learning rate: take "
                f"{unscheduled} or {unscheduled}-warm-up, got {name}."
            )
        optimizer = f"{optimizer}-{schedule}"
    return weighting, _read_settings(name, texts) if parenthesis else {}, optimizer


def split_schedule(name: str) -> tuple[str, str | None]:
    """The optimizer of a name and the schedule of its learning rate, if it has one.

    >>> split_schedule("upgrad-adamw-cosine"), split_schedule("adamw")
    (('upgrad-adamw', 'cosine'), ('adamw', None))
    """
    for schedule in SCHEDULES:
        if name.endswith(f"-{schedule}"):
            return name.removesuffix(f"-{schedule}"), schedule
    return name, None


def _read_settings(name: str, texts: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for text in texts.split(","):
        setting, _, value = (part.strip() for part in text.partition("="))
        try:
            number = json.loads(value)
        except ValueError:
            number = None
        if not setting or setting in settings or isinstance(number, str | list | dict | None):
            raise ValueError(
                f"The settings of a weighting are name=number, each once, as in "
                f"cagrad(c=0.2)-adam; got {name}."
            )
        settings[setting.replace("-", "_")] = number
    return settings


def weights_losses(name: str) -> bool:
    """Whether the hand-designed optimizer of this name is one for several losses."""
    return split_name(name)[0] is not None


@held_to_kinds
def check_hand_designed(name: str) -> None:
    """Makes sure that there is a hand-designed optimizer of this name.

    **Raises:** `ValueError` for an unknown name, with the nearest one that there is.
    """
    split_name(name)


def is_hand_designed(name: str) -> bool:
    """Whether there is a hand-designed optimizer of this name."""
    try:
        split_name(name)
    except ValueError:
        return False
    return True
