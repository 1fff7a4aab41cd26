"""What is equal in value is compiled once, however often it is made anew."""

import contextlib

import jax
import jax.monitoring
import jax.numpy as jnp
import optax
import pytest

from l2o.evaluation import evaluate, tune
from l2o.metatraining import Curriculum, Imitation, metatrain, metatrain_on_curriculum
from l2o.metatraining.regularizers import ExpectedSharpness
from l2o.optimizers import HandDesigned, LogUniform, from_optax
from l2o.tasks import QuadraticFamily

pytestmark = pytest.mark.usefixtures("quick_compilation")

SMALL = {"num_tasks": 2, "truncation": 1, "validation_tasks": 2, "validation_every": 1}


@contextlib.contextmanager
def compilations():
    """The programs that are compiled in the block."""
    compiled = []

    def listen(event, seconds, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(details.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def assert_compiled_once(run):
    """Whether ten calls with new keys compile what the first one does."""
    # Or those of earlier tests may be so many that all are given up in between.
    jax.clear_caches()
    with compilations() as at_first:
        run(jax.random.key(0))
    assert at_first
    with compilations() as later:
        for seed in range(1, 10):
            run(jax.random.key(seed))
    assert later == []


def test_metatrain_with_defaults(learnable_rate, parabolas):
    assert_compiled_once(
        lambda key: metatrain(
            learnable_rate(jnp.asarray(0.1)), parabolas(), key=key, meta_steps=2, horizon=2, **SMALL
        )
    )


def test_metatrain_with_everything_made_anew(learnable_rate, parabolas):
    def run(key):
        schedule = optax.linear_schedule(0.0, 1.0, 10)
        metatrain(
            learnable_rate(jnp.asarray(0.1)),
            parabolas(),
            key=key,
            meta_steps=2,
            horizon=2,
            regularizers=[ExpectedSharpness(0.1, schedule=schedule)],
            meta_optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)),
            imitation=Imitation(0.5, from_optax(optax.sgd(0.1))),
            **SMALL,
        )

    assert_compiled_once(run)


def test_curricula(learnable_rate, parabolas):
    def run(key):
        metatrain_on_curriculum(
            learnable_rate(jnp.asarray(0.01)),
            parabolas(curvature=2.0),
            Curriculum((1, 2, 3)),
            key=key,
            meta_steps=4,
            meta_optimizer=optax.adam(0.02),
            **SMALL,
        )

    assert_compiled_once(run)


def test_evaluate():
    def run(key):
        optimizers = {
            "adam": from_optax(optax.adam(1e-3)),
            "scheduled": from_optax(optax.sgd(optax.cosine_decay_schedule(0.1, 10), momentum=0.9)),
        }
        evaluate(optimizers, QuadraticFamily(2), key=key, num_tasks=2, num_steps=2)

    assert_compiled_once(run)


def test_tune():
    def run(key):
        made_anew = HandDesigned(
            name="clipped",
            build=optax.inject_hyperparams(optax.sgd),
            space={"learning_rate": LogUniform(1e-3, 1.0)},
            defaults={"learning_rate": 0.1},
        )
        tune(made_anew, QuadraticFamily(2), key=key, num_steps=2, num_configurations=4, num_tasks=2)

    assert_compiled_once(run)


def test_other_settings_are_compiled_anew(learnable_rate, parabolas):
    def rate_after(step_size):
        result = metatrain(
            learnable_rate(jnp.asarray(0.25)),
            parabolas(),
            key=jax.random.key(0),
            meta_steps=1,
            horizon=2,
            meta_optimizer=optax.chain(optax.scale_by_sign(), optax.scale(step_size)),
            **SMALL,
        )
        return float(result.last_optimizer.rate)

    assert rate_after(-0.125) == 0.375
    assert rate_after(-0.0625) == 0.3125
