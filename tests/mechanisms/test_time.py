"""What an optimizer counts, and whether that matters."""

import jax
import jax.numpy as jnp
import optax
import pytest

import l2o
from l2o.mechanisms import Presence, coordinate_dynamics, find_mechanisms

pytestmark = pytest.mark.usefixtures("quick_compilation")


def counting(step, start=0):
    """Gradient descent with something beside it that goes on in its own way."""
    return optax.GradientTransformation(
        lambda _: jnp.asarray(start),
        lambda grads, count, params=None: (
            jax.tree.map(lambda g: -0.1 * g, grads),
            step(count, jax.tree.leaves(grads)[0][0]),
        ),
    )


@pytest.mark.parametrize(
    "transformation",
    [
        counting(lambda count, _: jnp.minimum(count + 1, 100)),
        counting(lambda count, _: (count + 1) % 1000),
        counting(lambda count, _: count - 1),
        counting(lambda count, g: count + (g != 0.0)),
        counting(lambda count, g: count + (jnp.abs(g) > 1e4)),
        counting(lambda first, _: jnp.zeros_like(first), start=True),
        counting(lambda key, _: jax.random.split(key)[0], start=jax.random.key(0)),
        optax.chain(optax.apply_every(3), optax.scale(-0.1)),
        optax.optimistic_gradient_descent(0.1),
    ],
    ids=["stops", "again", "down", "gradients", "large gradients", "flag", "key", "every", "ogd"],
)
def test_what_does_not_count_steps_is_refused(transformation):
    with pytest.raises(ValueError, match="integers that do not count steps, or truth values"):
        coordinate_dynamics(l2o.from_optax(transformation))


@pytest.mark.parametrize(
    "schedule",
    [
        lambda t: jnp.where(t < 3000, 0.1, 0.01),
        lambda t: jnp.where((t >= 20) & (t < 900), 0.2, 0.1),
        lambda t: jnp.where(t % 10 == 9, 0.1, 0.0),
        lambda t: jnp.where(t < 300_000, 0.1, 0.01),
    ],
    ids=["late drop", "bump", "every tenth step", "very late drop"],
)
def test_a_rate_that_changes_at_any_time_depends_on_time(schedule):
    system = coordinate_dynamics(l2o.from_optax(optax.sgd(schedule)))
    assert system.depends_on_time


def test_a_constant_rate_does_not_depend_on_time():
    system = coordinate_dynamics(l2o.from_optax(optax.sgd(lambda t: 0.1 + 0.0 * t, momentum=0.9)))
    assert not system.depends_on_time


def test_a_late_drop_is_a_schedule():
    optimizer = l2o.from_optax(optax.sgd(lambda t: jnp.where(t < 3000, 0.1, 0.01), momentum=0.9))
    mechanisms = find_mechanisms(coordinate_dynamics(optimizer))
    assert mechanisms.presence["schedule"] is Presence.PRESENT
    assert mechanisms.presence["momentum"] is Presence.PRESENT
