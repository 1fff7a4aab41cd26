"""Optimizers of your own: an Optax chain, and a rule with an update that you write.

l2o explain examples/own_optimizer.py:clipped_momentum
l2o explain examples/own_optimizer.py:WithFriction --set friction=0.2 --against momentum
l2o train --task quadratic --optimizer examples/own_optimizer.py:WithFriction
"""

import jax
import jax.numpy as jnp
import optax

import l2o

clipped_momentum = optax.chain(optax.clip(0.5), optax.sgd(0.1, momentum=0.9))


class WithFriction(l2o.LearnedOptimizer):
    """Steps that go on, but for friction; its array leaves can be meta-trained."""

    log_rate: jax.Array
    friction: float

    def __init__(self, learning_rate: float = 0.1, friction: float = 0.1):
        self.log_rate = jnp.log(jnp.asarray(learning_rate))
        self.friction = friction

    def config(self):
        """What a file beside its weights says of it."""
        return {"friction": self.friction}

    def init(self, params):
        """No steps yet."""
        return jax.tree.map(jnp.zeros_like, params)

    def update(self, grads, state, params=None, **extra):
        """The step before, slowed down, and one along the gradient."""
        rate = jnp.exp(self.log_rate)
        steps = jax.tree.map(lambda s, g: (1 - self.friction) * s - rate * g, state, grads)
        return steps, steps
