"""The hand-designed optimizers that go by a name, known without JAX."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from l2o.optimizers import HandDesigned, LearnedOptimizer

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
    "mean-sgd": "Gradient descent on the mean of several losses.",
    "mean-adam": "Adam on the mean of several losses.",
    "mgda-sgd": "Gradient descent along MGDA's combination of several gradients.",
    "mgda-adam": "Adam on MGDA's combination of several gradients.",
    "upgrad-sgd": "Gradient descent along UPGrad's combination of several gradients.",
    "upgrad-adam": "Adam on UPGrad's combination of several gradients.",
    "pcgrad-sgd": "Gradient descent along PCGrad's combination of several gradients.",
    "pcgrad-adam": "Adam on PCGrad's combination of several gradients.",
}
"""What each one is. The last eight are for tasks with several losses."""


def check_hand_designed(name: str) -> None:
    """Makes sure that there is a hand-designed optimizer of this name; JAX is left alone.

    **Raises:** `ValueError` for an unknown name.
    """
    from l2o.support.checks import check_choice

    check_choice("A hand-designed optimizer", name, HAND_DESIGNED)


def find_hand_designed(name: str) -> "HandDesigned":
    """The hand-designed optimizer of this name, with its search space.

    **Raises:** `ValueError` for an unknown name.
    """
    check_hand_designed(name)
    from l2o.multiobjective import ALL_AGGREGATED
    from l2o.optimizers import ALL_HAND_DESIGNED

    return {each.name: each for each in (*ALL_HAND_DESIGNED, *ALL_AGGREGATED)}[name]


def build_hand_designed(name: str, hyperparameters: Mapping[str, float]) -> "LearnedOptimizer":
    """The hand-designed optimizer of this name.

    **Arguments:** `name`; `hyperparameters`, whose names may be anything: they are not ours.

    **Raises:** `ValueError` for an unknown name, of an optimizer or a hyperparameter, and for a
    value out of range.
    """
    from l2o.support.checks import check_choice

    hand_designed = find_hand_designed(name)
    for each in hyperparameters:
        check_choice(f"A hyperparameter of {name}", each, hand_designed.space)
    return hand_designed.with_hyperparameters(**hyperparameters)
