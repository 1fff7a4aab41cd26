"""What is asked for is checked before anything runs or is written."""

import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pytest

from l2o.metatraining import (
    Curriculum,
    Exact,
    FirstOrder,
    Imitation,
    check_metatraining,
    memory,
    metatrain,
)
from l2o.metatraining.regularizers import HeldOutLoss
from l2o.objectives import MeanLogRatio, MeanLoss
from l2o.optimizers import DM, from_optax
from l2o.tasks import QuadraticFamily

pytestmark = pytest.mark.usefixtures("quick_compilation", "unchecked_annotations")


KEY = jax.random.key(0)
SIZES = (
    "meta_steps",
    "num_tasks",
    "horizon",
    "truncation",
    "validation_every",
    "validation_tasks",
    "checkpoint_every",
    # `None` is that of training.
    "validation_horizon",
)
BAD_SIZES = (0, -1, 2.0, "3", True, [1], math.nan, math.inf, 2**31)
BAD = [
    *(
        (name, value, f"{name} must be (a whole number|at (least|most))")
        for name in SIZES
        for value in BAD_SIZES
    ),
    *(
        (name, None, f"{name} must be a whole number")
        for name in SIZES
        if name != "validation_horizon"
    ),
    *(
        ("objective_weight", value, "objective_weight must be")
        for value in (-1.0, math.nan, math.inf, "1", None, [1.0], True)
    ),
    ("truncation", 3, "truncation must divide horizon, got 3 and 100"),
    ("truncation", 200, "truncation must divide horizon, got 200 and 100"),
    ("objective", "mean-loss", "objective must be of type Objective, got 'mean-loss'"),
    ("objective", MeanLoss, "objective must be of type Objective, .* MeanLoss. Call it"),
    ("estimator", Exact, "estimator must be of type MetaGradientEstimator, .* Call it: Exact"),
    ("meta_optimizer", 0.1, "meta_optimizer must be of type GradientTransformation, got 0.1"),
    ("meta_optimizer", optax.adam, "meta_optimizer must be of type GradientTransformation"),
    ("imitation", 0.1, "imitation must be of type Imitation, got 0.1"),
    ("regularizers", HeldOutLoss(1.0), "regularizers must be of type Sequence"),
    ("regularizers", [HeldOutLoss], "Each of the regularizers must be of type Regularizer"),
    ("validation_family", QuadraticFamily, "validation_family must be of type TaskFamily"),
    ("key", 0, "key must be a random key such as"),
    ("key", None, "key must be a random key such as"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), BAD)
def test_settings(name, value, sentence, learnable_rate, parabolas, tmp_path):
    settings = {"meta_steps": 1, "key": KEY, name: value}
    given = (learnable_rate(jnp.asarray(0.1)), parabolas())
    for run in (check_metatraining, metatrain):
        with pytest.raises(ValueError, match=sentence) as caught:
            run(*given, **settings, folder=tmp_path / "run")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("optimizer", "family", "sentence"),
    [
        (from_optax(optax.adam(0.1)), QuadraticFamily(2), "OptaxOptimizer has none"),
        (optax.adam(0.1), QuadraticFamily(2), "optimizer must be of type LearnedOptimizer"),
        (None, QuadraticFamily, "family must be of type TaskFamily, .* Call it: QuadraticFamily"),
        (None, QuadraticFamily(2).sample(KEY), "family must be of type TaskFamily, got Quadratic"),
    ],
)
def test_optimizer_and_family(optimizer, family, sentence, learnable_rate):
    optimizer = learnable_rate(jnp.asarray(0.1)) if optimizer is None else optimizer
    for run in (check_metatraining, metatrain):
        with pytest.raises(ValueError, match=sentence):
            run(optimizer, family, key=KEY, meta_steps=1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        *(
            (lambda value=value: Imitation(value), "ratio must be a")
            for value in (-0.1, 1.1, math.nan, "0.1", None, True)
        ),
        (lambda: Imitation(0.5, optax.adam(0.1)), "teacher must be of type LearnedOptimizer"),
        (lambda: Exact(checkpoint=1), "checkpoint must be of type bool"),
        *(
            (lambda value=value: FirstOrder(value), "kept_bytes must be a whole number")
            for value in (-1, 1.5, math.inf, None)
        ),
        *(
            (lambda value=value: Curriculum(value), "horizons must be")
            for value in ((1.0, 2), (True, 2), ("1", 2), [1, 2], 5, (1, math.inf), (math.nan, 2))
        ),
        *(
            (lambda value=value: Curriculum((1, 2), value), "min_validations must be a whole")
            for value in (1.5, None, math.nan, "3")
        ),
        *(
            (lambda value=value: MeanLogRatio(value), "offset must be a")
            for value in (-1.0, 0, math.nan, math.inf, "1")
        ),
    ],
)
def test_parts(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_bytes_by_hand(learnable_rate, parabolas):
    footprint = check_metatraining(
        learnable_rate(jnp.asarray(0.1)), parabolas(), meta_steps=1, num_tasks=2
    )
    # The rate, its best and Adam's count and averages; two parameters and two initial losses;
    # four counters, the best score, and two keys of eight bytes.
    assert footprint.state == 4 * (2 + 3 + 4 + 5) + 2 * 8
    # 101 losses of 16 tasks of validation.
    assert footprint.largest_array == 4 * 101 * 16


def test_the_largest_array_of_a_program():
    def program(vector):
        zero = jnp.zeros((), vector.dtype)

        def large():
            return jnp.max(jnp.outer(vector, vector))

        def body(carry, _):
            return jax.lax.cond(carry > 0, large, lambda: zero), None

        return jax.lax.scan(body, zero, None, 3)

    vector = jax.ShapeDtypeStruct((1000,), jnp.float16)
    assert memory.largest_array(jax.jit(program), vector) == 2 * 1000**2
    assert memory.bytes_of({"a": vector, "b": jax.random.key(0), "c": None, "d": "text"}) == 2008


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2 * 10**12, "2 TB")]
)
def test_bytes_in_words(count, words):
    assert memory.bytes_in_words(count) == words


@pytest.mark.parametrize(
    "changes",
    [
        {"num_tasks": 10**9},
        {"validation_tasks": 10**9},
        {"horizon": 10**9},
        {"horizon": 10**9, "truncation": 10**9},
        {"validation_horizon": 10**9},
        {"curriculum": Curriculum((10, 20, 10**9)), "truncation": 10},
    ],
)
def test_sizes_beyond_all_memory(changes, learnable_rate, parabolas, monkeypatch):
    monkeypatch.setattr("l2o.metatraining.plan.available_memory", lambda: 4 * 10**9)
    optimizer = learnable_rate(jnp.asarray(0.1))
    check_metatraining(optimizer, parabolas(), meta_steps=1)
    sentence = re.escape(
        "of memory at the least, of which there are 4 GB: take a smaller optimizer"
    )
    with pytest.raises(ValueError, match=sentence):
        check_metatraining(optimizer, parabolas(), meta_steps=1, **changes)


def test_an_optimizer_beyond_all_memory(monkeypatch):
    monkeypatch.setattr("l2o.metatraining.plan.available_memory", lambda: 4 * 10**9)
    huge = eqx.filter_eval_shape(lambda: DM(2**14, key=KEY))
    with pytest.raises(ValueError, match=r"^Meta-training needs .* GB of memory at the least"):
        check_metatraining(huge, QuadraticFamily(2), meta_steps=1)


def test_nothing_is_written_where_memory_is_short(learnable_rate, parabolas, monkeypatch, tmp_path):
    monkeypatch.setattr("l2o.metatraining.plan.available_memory", lambda: 10)
    with pytest.raises(ValueError, match="of memory at the least, of which there are 10 bytes"):
        metatrain(
            learnable_rate(jnp.asarray(0.1)),
            parabolas(),
            key=KEY,
            meta_steps=1,
            folder=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_every_stage_of_a_curriculum_is_checked(learnable_rate, parabolas):
    with pytest.raises(ValueError, match="truncation must divide horizon, got 10 and 25"):
        check_metatraining(
            learnable_rate(jnp.asarray(0.1)),
            parabolas(),
            meta_steps=1,
            truncation=10,
            curriculum=Curriculum((10, 20, 25, 30)),
        )


def test_settings_that_there_are_not(learnable_rate, parabolas):
    with pytest.raises(TypeError, match="meta_step"):
        check_metatraining(learnable_rate(jnp.asarray(0.1)), parabolas(), meta_step=1)
