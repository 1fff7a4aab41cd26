"""The hand-designed optimizers that go by a name, known without JAX.

Those for one loss have names of their own. For several losses each goes behind each weighting, and
is called WEIGHTING-OPTIMIZER, such as upgrad-adam.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from l2o.composition import WEIGHTING, members
from l2o.support.checks import check_choice

if TYPE_CHECKING:
    from l2o.optimizers import HandDesigned, LearnedOptimizer
    from l2o.tasks import TaskFamily

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

# It takes the second gradient itself, of one loss.
_BEHIND_NO_WEIGHTING = "sam"


@cache
def _behind_weightings() -> dict[str, tuple[str, str]]:
    """The weighting and the optimizer that each name for several losses stands for."""
    return {
        f"{weighting}-{optimizer}": (weighting, optimizer)
        for weighting in members(WEIGHTING)
        for optimizer in HAND_DESIGNED
        if optimizer != _BEHIND_NO_WEIGHTING
    }


def weights_losses(name: str) -> bool:
    """Whether the hand-designed optimizer of this name is one for several losses."""
    return name in _behind_weightings()


def check_hand_designed(name: str) -> None:
    """Makes sure that there is a hand-designed optimizer of this name; JAX is left alone.

    **Raises:** `ValueError` for an unknown name, with the nearest one that there is.
    """
    if name in members(WEIGHTING):
        raise ValueError(
            f"{name} weights several losses: name an optimizer behind it, as in {name}-adam."
        )
    shown = (
        f"{', '.join(HAND_DESIGNED)}, or for several losses one of these but "
        f"{_BEHIND_NO_WEIGHTING} behind a weighting, such as upgrad-adam (see `l2o list`)"
    )
    check_choice("A hand-designed optimizer", name, [*HAND_DESIGNED, *_behind_weightings()], shown)


def find_hand_designed(name: str, num_objectives: int | None = None) -> "HandDesigned":
    """The hand-designed optimizer of this name, with its search space.

    **Arguments:** `name`; `num_objectives`, for a weighting that remembers something of every
    objective.

    **Raises:** `ValueError` for an unknown name, and for such a weighting without
    `num_objectives`.
    """
    check_hand_designed(name)
    from l2o.optimizers import ALL_HAND_DESIGNED

    known = {each.name: each for each in ALL_HAND_DESIGNED}
    if not weights_losses(name):
        return known[name]
    from l2o.multiobjective import aggregated, find_weighting

    weighting, optimizer = _behind_weightings()[name]
    return aggregated(
        name, find_weighting(weighting), known[optimizer], num_objectives=num_objectives
    )


def hand_designed_for(names: Sequence[str], family: "TaskFamily") -> "dict[str, HandDesigned]":
    """Hand-designed optimizers by name for the tasks of a family, whose losses are counted.

    **Raises:** `ValueError` for an unknown name, a weighting for tasks with one loss, and tasks
    with several losses without one.
    """
    from l2o.tasks import count_objectives

    num_objectives = count_objectives(family)
    for name in names:
        check_hand_designed(name)
        if weights_losses(name) and num_objectives is None:
            _, optimizer = _behind_weightings()[name]
            raise ValueError(
                f"{name} is for tasks with several losses, and these ({family.title}) have one: "
                f"take {optimizer}."
            )
        if num_objectives is not None and not weights_losses(name):
            optimizer = "adam" if name == _BEHIND_NO_WEIGHTING else name
            raise ValueError(
                f"{name} is for tasks with one loss, and these ({family.title}) have "
                f"{num_objectives}: put a weighting first, as in upgrad-{optimizer} (see "
                "`l2o list`)."
            )
    return {name: find_hand_designed(name, num_objectives) for name in names}


def build_hand_designed(
    name: str, hyperparameters: Mapping[str, float], num_objectives: int | None = None
) -> "LearnedOptimizer":
    """The hand-designed optimizer of this name.

    **Arguments:** `name` and `num_objectives`, as for `find_hand_designed`; `hyperparameters`,
    whose names may be anything: they are not ours.

    **Raises:** `ValueError` as `find_hand_designed` does, for an unknown name of a hyperparameter,
    and for a value out of range.
    """
    hand_designed = find_hand_designed(name, num_objectives)
    for each in hyperparameters:
        check_choice(f"A hyperparameter of {name}", each, hand_designed.space)
    return hand_designed.with_hyperparameters(**hyperparameters)
