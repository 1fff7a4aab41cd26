"""The papers whose experiments can be repeated, told of without importing any."""

from l2o.studies.reproduction import Reproduction
from l2o.support.checks import check_choice

REPRODUCTIONS: tuple[Reproduction, ...] = (
    Reproduction(
        name="reverse-engineering",
        description="How learned optimizers work (Maheswaranathan et al. 2021), figures 1 to 5.",
        profiles={
            "quick": "all parts, each as short as can be: a few minutes on two cores",
            "cpu": "64 units, smaller networks: within an hour on two cores",
            "full": "256 units, the published settings where there are some: for an accelerator",
        },
        module="l2o.studies.reverse_engineering",
    ),
    Reproduction(
        name="flatness",
        description=(
            "Whether learned optimizers can be taught to generalize (after Yang et al. 2023)."
        ),
        profiles={
            "quick": "all parts, each as short as can be: a few minutes on two cores",
            "cpu": "200 training examples of digits, or of MNIST if it is there: within an hour on "
            "two cores",
            "gpu": "500 training examples of MNIST and CIFAR-10, 2,000 steps, and the winners of "
            "the profile cpu: minutes on an accelerator",
            "full": "500 training examples of MNIST, 10,000 steps: hours on an accelerator",
        },
        module="l2o.studies.flatness",
    ),
    Reproduction(
        name="multi-objective",
        description=(
            "Learned optimizers for several objectives against aggregators (after Yang, Yang and "
            "Tang 2023)."
        ),
        profiles={
            "quick": "all parts, each as short as can be: a few minutes on two cores",
            "cpu": "all test problems, networks on digits, and on MNIST if it is there: some three "
            "hours on two cores",
            "full": "all test problems, 28x28 MNIST, 1,000 steps: for an accelerator",
        },
        module="l2o.studies.multi_objective",
    ),
)
"""Every reproduction."""


def find_reproduction(name: str) -> Reproduction:
    """The reproduction of this name.

    **Raises:** `ValueError` for an unknown name.
    """
    known = {each.name: each for each in REPRODUCTIONS}
    check_choice("A reproduction", name, known)
    return known[name]
