"""The hand-designed methods of the study, by name."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from l2o.multiobjective import aggregated, find_weighting, problems as known
from l2o.multiobjective.problems import Problem
from l2o.optimizers import HandDesigned, adam

AGGREGATORS: Mapping[str, str] = {
    "mean": "mean",
    "relative losses": "initial-loss",
    "random": "random-weighting",
    "MGDA": "mgda",
    "UPGrad": "upgrad",
    "DualProj": "dualproj",
    "PCGrad": "pcgrad",
    "GradVac": "gradvac",
    "CAGrad": "cagrad",
    "IMTL-G": "imtl-g",
    "Nash-MTL": "nash-mtl",
    "FairGrad": "fairgrad",
    "Aligned-MTL": "aligned-mtl",
    "ConFIG": "config",
    "GradDrop": "graddrop",
    "MoCo": "moco",
    "DB-MTL": "db-mtl",
    "FAMO": "famo",
    "DWA": "dwa",
    "uncertainty": "uncertainty-weighting",
    "geometric mean": "geometric-mean",
    "STCH": "stch",
}
"""What the study calls aggregators, and the weightings that they are, with their own defaults."""


def behind(name: str, optimizer: HandDesigned, num_objectives: int) -> HandDesigned:
    """An optimizer behind an aggregator, to be tuned.

    **Arguments:** `name`, of the aggregator; `optimizer`, for one gradient; `num_objectives`.
    """
    weighting = find_weighting(AGGREGATORS[name])
    return aggregated(name, weighting, optimizer, num_objectives=num_objectives)


def adam_behind(name: str, num_objectives: int) -> HandDesigned:
    """Adam behind an aggregator, with all hyperparameters of Adam to be tuned.

    **Arguments:** `name`, of the aggregator; `num_objectives`.
    """
    return behind(name, adam, num_objectives)


def problems() -> Mapping[str, Problem]:
    """The test problems: all without bounds whose Pareto-critical set has a closed form."""
    return {
        "JOS1": known.jos1(10),
        "ZLT1": known.zlt1(3, 5),
        "Lov1": known.lov1(),
        "SP1": known.sp1(),
        "ill-scaled quadratics": known.random_quadratics(
            jax.random.key(7), 2, 10, condition=100.0, scales=jnp.array([1.0, 1000.0])
        ),
        # From farther away, in ten dimensions, all gradients fade below what numbers can hold.
        "Fonseca": known.Fonseca(jnp.full(10, 10**-0.5), spread=1.0),
        "FF1": known.ff1(),
        "SLCDT1": known.SLCDT1(),
        "SLCDT2": known.SLCDT2(),
        "Hil1": known.Hil1(),
        "CAGrad toy": known.CAGradToy(),
    }
