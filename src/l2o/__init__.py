"""Learning to optimize: meta-train optimizers, prove that they win, see how they work, use them.

Names are imported when they are first used, so that `import l2o` is quick and leaves JAX alone
until it is needed.
"""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l2o import (
        deploy as deploy,
        evaluation as evaluation,
        flatness as flatness,
        inner_loop as inner_loop,
        mechanisms as mechanisms,
        metatraining as metatraining,
        multiobjective as multiobjective,
        objectives as objectives,
        optimizers as optimizers,
        tasks as tasks,
    )
    from l2o.deploy import load as load, save as save
    from l2o.evaluation import evaluate as evaluate, tune as tune
    from l2o.inner_loop import unroll as unroll
    from l2o.metatraining import metatrain as metatrain
    from l2o.multiobjective import guard as guard
    from l2o.optimizers import (
        LearnedOptimizer as LearnedOptimizer,
        as_optax as as_optax,
        from_optax as from_optax,
    )
    from l2o.tasks import Task as Task, TaskBatch as TaskBatch, TaskFamily as TaskFamily

    __version__: str

_SUBMODULES = frozenset(
    {
        "deploy",
        "evaluation",
        "flatness",
        "inner_loop",
        "metatraining",
        "multiobjective",
        "objectives",
        "optimizers",
        "tasks",
    }
)

_HOMES = {
    "LearnedOptimizer": "l2o.optimizers",
    "Task": "l2o.tasks",
    "TaskBatch": "l2o.tasks",
    "TaskFamily": "l2o.tasks",
    "as_optax": "l2o.optimizers",
    "evaluate": "l2o.evaluation",
    "from_optax": "l2o.optimizers",
    "guard": "l2o.multiobjective",
    "load": "l2o.deploy",
    "metatrain": "l2o.metatraining",
    "save": "l2o.deploy",
    "tune": "l2o.evaluation",
    "unroll": "l2o.inner_loop",
}


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name == "__version__":
        value = metadata.version("l2o")
    elif name in _SUBMODULES:
        value = importlib.import_module(f"l2o.{name}")
    else:
        raise AttributeError(f"module 'l2o' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*_HOMES, *_SUBMODULES, "__version__"})
