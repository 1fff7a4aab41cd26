"""The hand-designed methods of the study, by name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optax
    from jaxtyping import Array, Float

    from l2o.multiobjective import StatefulWeighting
    from l2o.multiobjective.problems import Problem
    from l2o.optimizers import HandDesigned

    Aggregator = (
        Callable[..., Float[Array, " m"]] | StatefulWeighting | optax.GradientTransformation
    )


def aggregators(num_objectives: int) -> "Mapping[str, Aggregator]":
    """Every aggregator of the study, with its own default options.

    **Arguments:** `num_objectives`, for those that keep a state.
    """
    import jax

    from l2o import multiobjective as mo

    key = jax.random.key(0)
    return {
        "mean": mo.mean,
        "relative losses": mo.InitialLoss(),
        "random": mo.aggregate(mo.random_weighting, key=key),
        "MGDA": mo.mgda,
        "UPGrad": mo.upgrad,
        "DualProj": mo.dualproj,
        "PCGrad": mo.pcgrad,
        "GradVac": mo.GradVac(),
        "CAGrad": mo.cagrad,
        "IMTL-G": mo.imtl_g,
        "Nash-MTL": mo.nash_mtl,
        "FairGrad": mo.fairgrad,
        "Aligned-MTL": mo.aligned_mtl,
        "ConFIG": mo.config,
        "GradDrop": mo.aggregate_jacobian(mo.graddrop, key=key),
        "MoCo": mo.moco(num_objectives),
        "DB-MTL": mo.db_mtl(num_objectives),
        "FAMO": mo.FAMO(),
        "DWA": mo.DWA(),
        "uncertainty": mo.UncertaintyWeighting(),
        "geometric mean": mo.Scalarized(mo.geometric_mean),
        "STCH": mo.Scalarized(partial(mo.stch, mu=0.1)),
    }


def adam_behind(name: str, num_objectives: int) -> "HandDesigned":
    """Adam behind an aggregator, with all hyperparameters of Adam to be tuned.

    **Arguments:** `name`, of the aggregator; `num_objectives`.
    """
    from l2o.multiobjective import aggregated
    from l2o.optimizers import adam

    return aggregated(name, aggregators(num_objectives)[name], adam, num_objectives=num_objectives)


def problems() -> "Mapping[str, Problem]":
    """The test problems: all without bounds whose Pareto-critical set has a closed form."""
    import jax
    import jax.numpy as jnp

    from l2o.multiobjective import problems as known

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
