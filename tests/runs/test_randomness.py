"""No task that a run is judged on is one that it, or anything beside it, has seen before."""

from itertools import combinations
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.evaluation import evaluate, tune, tuning_key
from l2o.mechanisms import record_gradients
from l2o.metatraining import metatrain, programs
from l2o.optimizers import LearnedOptimizer, sgd
from l2o.runs.building import distillation_key, evaluation_key, explanation_key, keys_of
from l2o.tasks import Task, TaskFamily

pytestmark = pytest.mark.usefixtures("quick_compilation", "unchecked_annotations")

DRAWN = {}


class Bowl(Task):
    centre: jax.Array

    def init(self, key):
        return jax.random.normal(key, (2,))

    def loss(self, params, batch):
        return jnp.sum((params - self.centre) ** 2)


class Noted(TaskFamily):
    """Bowls; the randomness that each is drawn with is noted."""

    purpose: str = eqx.field(static=True)

    def sample(self, key):
        def note(numbers):
            rows = np.asarray(numbers).reshape(-1, numbers.shape[-1])
            DRAWN.setdefault(self.purpose, set()).update(map(bytes, rows))

        jax.debug.callback(note, jax.random.key_data(key))
        return Bowl(jax.random.normal(key, (2,)))


class Rate(LearnedOptimizer):
    rate: jax.Array

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, value=None, **extra):
        return jax.tree.map(lambda leaf: -self.rate * leaf, grads), state


def test_no_task_is_drawn_for_two_purposes(monkeypatch):
    recipe, optimizer = SimpleNamespace(seed=0), Rate(jnp.asarray(0.1))
    keys = [*keys_of(recipe)[:2], evaluation_key(recipe)]
    assert len({jax.random.key_data(key).tobytes() for key in keys}) == 3
    DRAWN.clear()

    def init(*given):
        """Tasks of the state before the first meta-step have its shapes, and are never run."""
        state = programs.init(*given)
        jax.effects_barrier()
        del DRAWN["training"]
        return state

    monkeypatch.setattr("l2o.metatraining._metatrain.init", init)
    metatrain(
        optimizer,
        Noted("training"),
        validation_family=Noted("validation"),
        key=keys_of(recipe)[1],
        meta_steps=8,
        num_tasks=4,
        horizon=1,
        truncation=1,
        validation_tasks=4,
    )
    few = {"num_steps": 1}
    small = {"num_configurations": 4, "num_tasks": 4}
    key, distilling = evaluation_key(recipe), distillation_key(recipe)
    tune(sgd, Noted("tuning"), key=key, **few, **small)
    evaluate({"it": optimizer}, Noted("evaluation"), key=key, num_tasks=4, **few)
    record_gradients(optimizer, Noted("explain"), key=explanation_key(recipe), num_tasks=4, **few)
    record_gradients(optimizer, Noted("distil"), key=distilling, num_tasks=4, **few)
    evaluate({"it": optimizer}, Noted("trial"), key=tuning_key(distilling), num_tasks=4, **few)
    tune(sgd, Noted("tuning of the closed form"), key=distilling, **few, **small)
    jax.effects_barrier()
    assert len(DRAWN) == 8
    assert all(len(drawn) >= 4 for drawn in DRAWN.values())
    # Baselines and the closed form may be tuned on the same tasks.
    tuned = {"tuning", "tuning of the closed form"}
    for one, other in combinations(DRAWN, 2):
        assert {one, other} == tuned or not DRAWN[one] & DRAWN[other], (one, other)
