import jax
import jax.numpy as jnp
import pytest

from l2o.optimizers import LearnedOptimizer
from l2o.tasks import Task, TaskFamily


class LearnableRate(LearnedOptimizer):
    """Gradient descent whose learning rate is the one meta-parameter."""

    rate: jax.Array

    def init(self, params):
        return ()

    def update(self, grads, state, params=None, *, value=None, **extra):
        return jax.tree.map(lambda leaf: -self.rate * leaf, grads), state


class Parabola(Task):
    """`curvature x^2 / 2` from `start`: a learning rate of one over the curvature is perfect."""

    curvature: jax.Array
    start: jax.Array

    def init(self, key):
        return self.start

    def loss(self, params, batch):
        return self.curvature * params**2 / 2

    def evaluate(self, params):
        # Two of them are called like what meta-training itself keeps.
        taken = jnp.asarray(-7.0)
        return {"distance": jnp.abs(params), "score": taken, "validation_score": taken}


class Parabolas(TaskFamily):
    """Parabolas with random starts; a share of them is not a number."""

    curvature: float = 2.0
    share_of_nan: float = 0.0

    def sample(self, key):
        start_key, nan_key = jax.random.split(key)
        bad = jax.random.bernoulli(nan_key, self.share_of_nan)
        curvature = jnp.where(bad, jnp.nan, self.curvature)
        return Parabola(curvature, 1 + jax.random.uniform(start_key))


@pytest.fixture(scope="session")
def learnable_rate():
    return LearnableRate


@pytest.fixture(scope="session")
def parabola():
    return Parabola


@pytest.fixture(scope="session")
def parabolas():
    return Parabolas
