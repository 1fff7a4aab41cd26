"""Made-up results for the tests of pages."""

import numpy as np

from l2o.evaluation import Evaluation, Runs, Tuned
from l2o.optimizers import adam, sgd
from l2o.report import Comparison, Setting

NUM_TASKS, NUM_STEPS = 8, 20


def runs(level, seed=0, accuracy=0.9, diverged=0):
    """Runs whose losses fall to `level`."""
    generator = np.random.default_rng(seed)
    curve = level + np.exp(-np.linspace(0, 4, NUM_STEPS + 1))
    losses = (curve * generator.uniform(0.95, 1.05, (NUM_TASKS, 1))).astype(np.float32)
    losses[:diverged, -1] = np.inf
    with np.errstate(invalid="ignore"):
        objective = losses.mean(1)
    held = {
        "test_loss": losses[:, -1] + 0.1,
        "test_accuracy": np.full(NUM_TASKS, accuracy) + 0.01 * generator.standard_normal(NUM_TASKS),
    }
    return Runs(losses, objective, held)


def tuned(hand_designed, **hyperparameters):
    return Tuned(
        hand_designed=hand_designed,
        hyperparameters=hand_designed.defaults | hyperparameters,
        outcomes=np.array([0.2, 0.3, 0.4]),
        diverged_runs=0,
        configurations={name: np.ones(4) for name in hand_designed.space},
        scores=np.array([0.3, 0.4, 0.5, np.inf]),
        num_tasks=2,
        num_steps=NUM_STEPS,
    )


def comparison(learned_level=0.1, **adam_options):
    evaluation = Evaluation(
        {"GRU(4)": runs(learned_level), "sgd": runs(0.3, 1), "adam": runs(0.2, 2, **adam_options)},
        NUM_TASKS,
        NUM_STEPS,
    )
    # Where the learned optimizer does not win.
    other = Evaluation(
        {"GRU(4)": runs(0.9), "sgd": runs(0.3, 1), "adam": runs(0.2, 2)}, NUM_TASKS, NUM_STEPS
    )
    return Comparison(
        learned="GRU(4)",
        objective="mean loss",
        tuned=(tuned(sgd, learning_rate=99.0), tuned(adam)),
        main=Setting("small tasks, 20 steps", evaluation),
        others=(Setting("other tasks, 20 steps", other),),
        seed=5,
    )


HISTORY = [
    {
        "meta_step": step,
        "meta_loss": 1 / step,
        "validation_score": 2 / step if step % 5 == 0 else None,
    }
    for step in range(1, 21)
]
