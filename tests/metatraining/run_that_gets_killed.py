"""Meta-trains in a folder and saves the weights; as a program, slowly, so that it can be killed."""

import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from l2o.metatraining import metatrain
from l2o.optimizers import GRU
from l2o.tasks import Task, TaskFamily

META_STEPS = 40


class Bowl(Task):
    """Random curvature, start and minibatches: all that a run draws anew."""

    curvature: jax.Array

    def init(self, key):
        return jax.random.normal(key, (2,))

    def sample(self, key):
        return jax.random.normal(key, (2,))

    def loss(self, params, batch):
        return jnp.sum(self.curvature * (params - batch) ** 2)


class Bowls(TaskFamily):
    def sample(self, key):
        return Bowl(jax.random.uniform(key, (2,)))


def run(folder, hidden_size=2, resume=True, pause=0.0):
    key = jax.random.key(0)
    return metatrain(
        GRU(hidden_size, "log", key=key),
        Bowls(),
        key=key,
        meta_steps=META_STEPS,
        num_tasks=2,
        horizon=9,
        truncation=3,
        validation_every=7,
        validation_tasks=2,
        folder=folder,
        checkpoint_every=4,
        resume=resume,
        on_progress=lambda progress: time.sleep(pause),
    )


def main(folder, pause=0.0):
    result = run(folder, pause=pause)
    leaves = jax.tree.leaves((result.optimizer, result.last_optimizer))
    np.savez(folder / "weights.npz", *leaves, step=result.best_step, score=result.best_score)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    main(Path(sys.argv[1]), pause=0.05)
