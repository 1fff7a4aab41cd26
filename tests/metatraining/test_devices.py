"""Each device has tasks of its own."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from l2o.metatraining import BackPropagation, WindowGradient, metatrain
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.tasks import Task, TaskFamily

pytestmark = pytest.mark.usefixtures("quick_compilation")


class Place(Task):
    """A task that was drawn somewhere, begins somewhere, and says so."""

    place: jax.Array

    def init(self, key):
        return jax.random.uniform(key)

    def loss(self, params, batch):
        return 0.0 * params

    def evaluate(self, params):
        return {
            "place": self.place,
            "square of place": self.place**2,
            "start": params,
            "square of start": params**2,
        }


class Places(TaskFamily):
    def sample(self, key):
        return Place(jax.random.uniform(key))


class Nothing(Regularizer):
    def value(self, loss, params, found):
        return 0.0 * params


class Seen(BackPropagation):
    """Reports what a device sees as the meta-loss, and its square as what regularizers add."""

    see: Callable = eqx.field(static=True)

    def through_window(self, optimizer, meta_loss, window):
        seen = jnp.mean(self.see(window))
        losses = jnp.ones((window.num_steps + 1, window.task.num_tasks))
        nothing = jax.tree.map(jnp.zeros_like, optimizer)
        return WindowGradient(seen, seen**2, losses, window.state, nothing)


def run(learnable_rate, see):
    (row,) = metatrain(
        learnable_rate(jnp.asarray(0.0)),
        Places(),
        key=jax.random.key(3),
        meta_steps=1,
        num_tasks=2,
        horizon=1,
        truncation=1,
        regularizers=[Nothing(1.0)],
        estimator=Seen(see),
        validation_tasks=2,
    ).history
    return row


@pytest.mark.parametrize(
    "see",
    [
        lambda window: window.task.task.place,
        lambda window: window.state.params,
        lambda window: jax.random.uniform(window.key),
    ],
    ids=["tasks", "initialisations", "minibatches"],
)
def test_devices_train_on_tasks_of_their_own(see, learnable_rate):
    row = run(learnable_rate, see)
    # Two devices see one number each. The mean of squares is above the square of the mean
    # where they differ.
    assert row["regularization"] > row["meta_loss"] ** 2 + 1e-4


def test_devices_validate_on_tasks_of_their_own(learnable_rate):
    row = run(learnable_rate, lambda window: window.state.params)
    for name in ("place", "start"):
        assert row[f"square of {name}"] > row[name] ** 2 + 1e-4
