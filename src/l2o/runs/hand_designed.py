"""The names of hand-designed optimizers; JAX is left alone.

Those for one loss have names of their own. For several losses each goes behind each weighting, and
is called WEIGHTING-OPTIMIZER, such as upgrad-adam, or cagrad(c=0.2)-adam with settings of the
weighting.
"""

import json
from functools import cache
from typing import Any

from l2o.composition import (
    WEIGHTING,
    behind_weightings,
    members,
)
from l2o.support.checks import check_choice

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
}
"""Those for one loss, and what each one is."""

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
    >>> split_name("adam")
    (None, {}, 'adam')

    **Raises:** `ValueError` for an unknown name, with the nearest one that there is, and for
    settings that cannot be read.
    """
    first, parenthesis, rest = name.partition("(")
    texts, _, optimizer = rest.partition(")-")
    if parenthesis and not optimizer:
        raise ValueError(
            f"The settings of a weighting stand in parentheses, then the optimizer, as in "
            f"cagrad(c=0.2)-adam; got {name}."
        )
    plain = f"{first}-{optimizer}" if parenthesis else name
    if plain in members(WEIGHTING):
        raise ValueError(
            f"{plain} weights several losses: name an optimizer behind it, as in {plain}-adam."
        )
    shown = (
        f"{', '.join(HAND_DESIGNED)}, or for several losses one of these but "
        f"{BEHIND_NO_WEIGHTING} behind a weighting, such as upgrad-adam or cagrad(c=0.2)-adam "
        "(see `l2o list`)"
    )
    check_choice("A hand-designed optimizer", plain, [*HAND_DESIGNED, *_behind_weightings()], shown)
    weighting, optimizer = _behind_weightings().get(plain, (None, plain))
    return weighting, _read_settings(name, texts) if parenthesis else {}, optimizer


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


def check_hand_designed(name: str) -> None:
    """Makes sure that there is a hand-designed optimizer of this name.

    **Raises:** `ValueError` for an unknown name, with the nearest one that there is.
    """
    split_name(name)
