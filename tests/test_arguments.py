"""Arguments of a wrong kind end in one sentence, in every public function that takes such a kind.

Which functions those are is read from their signatures, so that new ones are covered.
"""

import collections.abc
import inspect
import typing

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import l2o
from l2o import evaluation, flatness, mechanisms, metatraining, multiobjective, optimizers, tasks
from l2o.optimizers import HandDesigned, LearnedOptimizer, RecurrentOptimizer
from l2o.support.bad_input import explains_itself
from l2o.support.keys import check_key
from l2o.tasks import Task, TaskFamily

pytestmark = pytest.mark.usefixtures("unchecked_annotations")

KEY = jax.random.key(0)
TASK = tasks.Quadratic(jnp.eye(2), jnp.zeros(2))
FAMILY = tasks.QuadraticFamily(2)
ADAM = optimizers.adam.with_hyperparameters()
RECORD = mechanisms.GradientRecord(np.zeros((1, 3)), np.zeros((1, 3)), np.arange(3))
X = jnp.ones((2, 2))


def loss(params):
    return jnp.sum(params**2)


def slope(params, key):
    return params


LOSS = {"loss": loss, "params": X, "key": KEY}
RUN = {"family": FAMILY, "key": KEY, "num_tasks": 1, "num_steps": 1}
ON_PROBLEM = {
    "optimizer": optimizers.GRU(2, key=KEY),
    "family": FAMILY,
    "key": KEY,
    "meta_steps": 1,
}
CALLS = {
    evaluation.draw_tasks: {"family": FAMILY, "key": KEY, "num_tasks": 1},
    evaluation.evaluate: {**RUN, "optimizers": {"adam": ADAM}},
    evaluation.evaluation_key: {"key": KEY},
    evaluation.tune: {**RUN, "hand_designed": optimizers.adam},
    evaluation.tuning_key: {"key": KEY},
    flatness.entropy_gap: {**LOSS, "gamma": 1.0},
    flatness.entropy_gap_by_sgld: {**LOSS, "gamma": 1.0, "num_steps": 2, "step_size": 0.1},
    flatness.expected_sharpness: LOSS,
    flatness.filter_normalised_direction: {"params": X, "key": KEY},
    flatness.loss_surface: LOSS,
    flatness.power_iteration: LOSS,
    flatness.ritz_pairs: {**LOSS, "num_products": 1},
    flatness.sgld_mean: {
        "gradient": slope,
        "params": X,
        "key": KEY,
        "gamma": 1.0,
        "step_size": 0.1,
        "num_steps": 2,
        "noise": 0.1,
        "averaging": 0.5,
    },
    flatness.sharpness: LOSS,
    flatness.spectral_density: LOSS,
    flatness.spectral_norm: LOSS,
    flatness.top_eigenvalue: LOSS,
    flatness.trace: LOSS,
    l2o.as_optax: {"optimizer": ADAM},
    l2o.save: {"optimizer": ADAM, "path": "nowhere"},
    l2o.unroll: {"optimizer": ADAM, "task": TASK, "key": KEY, "num_steps": 1},
    mechanisms.coordinate_dynamics: {"optimizer": ADAM},
    mechanisms.distill: {"optimizer": ADAM, "record": RECORD},
    mechanisms.dynamics_among_others: {
        "optimizer": ADAM,
        "params": X,
        "opt_state": (),
        "grads": X,
        "where": lambda state: [],
        "index": 0,
    },
    mechanisms.explain: {"optimizer": ADAM},
    mechanisms.find_fixed_points: {"dynamics": None, "key": KEY},
    mechanisms.record_gradients: {**RUN, "optimizer": ADAM},
    metatraining.Imitation: {"teacher": ADAM},
    metatraining.Part: {"family": FAMILY},
    metatraining.check_metatraining: ON_PROBLEM,
    metatraining.metatrain: ON_PROBLEM,
    metatraining.metatrain_on_curriculum: {
        **ON_PROBLEM,
        "curriculum": metatraining.Curriculum((1, 2)),
        "truncation": 1,
    },
    multiobjective.BehindWeighting: {"optimizer": ADAM, "weighting": "upgrad"},
    multiobjective.GradNorm: {"optimizer": optax.sgd(0.1)},
    multiobjective.IMTLL: {"optimizer": optax.sgd(0.1)},
    multiobjective.ML2O: {"key": KEY},
    multiobjective.PlainML2O: {"num_objectives": 2, "key": KEY},
    multiobjective.UncertaintyWeighting: {"optimizer": optax.sgd(0.1)},
    multiobjective.aggregate: {"weighting": multiobjective.random_weighting, "key": KEY},
    multiobjective.aggregate_jacobian: {"aggregator": multiobjective.graddrop, "key": KEY},
    multiobjective.aggregated: {
        "name": "mine",
        "aggregator": multiobjective.upgrad,
        "optimizer": optimizers.adam,
    },
    multiobjective.graddrop: {"jacobian": X, "key": KEY},
    multiobjective.gradvac: {"gramian": X, "key": KEY},
    multiobjective.BehindWeighting: {"optimizer": ADAM, "weighting": "upgrad"},
    multiobjective.guard: {"optimizer": ADAM},
    multiobjective.guard_at_intervals: {"optimizer": ADAM, "losses": loss, "every": 2},
    multiobjective.pcgrad: {"gramian": X, "key": KEY},
    multiobjective.random_weighting: {"gramian": X, "key": KEY},
    optimizers.AdafacMLP: {"key": KEY},
    optimizers.Celo2: {"key": KEY},
    optimizers.DM: {"key": KEY},
    optimizers.GRU: {"hidden_size": 2, "key": KEY},
    optimizers.Hierarchical: {"key": KEY},
    optimizers.NominalMLP: {"key": KEY},
    optimizers.RNNProp: {"key": KEY},
    optimizers.from_optax: {"transformation": optax.sgd(0.1)},
    optimizers.per_task: {"optimizer": ADAM},
    tasks.ReparameterizedFamily: {"family": FAMILY},
    tasks.SingleTask: {"task": TASK},
    tasks.count_objectives: {"family": FAMILY},
}
# What the library itself makes, of what it has checked.
MADE_BY_THE_LIBRARY = {
    "CurriculumResult",
    "Distilled",
    "Draw",
    "Guarded",
    "HandDesigned",
    "InnerProblems",
    "MetaGradient",
    "MetaTrainingResult",
    "OptaxOptimizer",
    "PerTask",
    "PeriodicallyGuarded",
    "Reparameterized",
    "SplitCoordinates",
    "Step",
    "TaskBatch",
    "Tuned",
    "ValueFunction",
    "Window",
    "WindowGradient",
    "as_recurrent",
    "coordinate_gradient",
}
NO_OPTIMIZERS = ("adam", 0, 0.1, None, object(), {}, [ADAM], optimizers.GRU, optax.adam)
NONSENSE = {
    LearnedOptimizer: NO_OPTIMIZERS,
    RecurrentOptimizer: NO_OPTIMIZERS,
    optax.GradientTransformation: NO_OPTIMIZERS,
    HandDesigned: (*NO_OPTIMIZERS, ADAM, optax.adam(0.1)),
    TaskFamily: (TASK, "quadratics", 3, None, {}, [FAMILY], tasks.QuadraticFamily, jnp.ones(2)),
    Task: (FAMILY, "quadratic", 3, None, {}, [TASK], tasks.Quadratic, loss),
    typing.get_args(jaxtyping.PRNGKeyArray)[0]: (
        0,
        1.5,
        "0",
        None,
        {},
        [0, 1],
        (0, 1),
        jnp.zeros(2),
        jnp.zeros(2, int),
        np.random.default_rng(0),
        jax.random.split(KEY),
        jax.random.key,
    ),
}


def kinds_in(hint):
    """The kinds that an annotation is made of, those of a mapping's values among them."""
    if typing.get_origin(hint) in (type, collections.abc.Callable):
        return [typing.get_origin(hint)]
    return [hint, *(kind for part in typing.get_args(hint) for kind in kinds_in(part))]


def checked_parameters(function):
    """The parameters of kinds that are to be checked, with what is no such thing."""
    names = inspect.signature(function).parameters
    constructor = function.__init__ if isinstance(function, type) else function
    for name, hint in typing.get_type_hints(inspect.unwrap(constructor)).items():
        kinds = kinds_in(hint)
        wrong = next((values for kind, values in NONSENSE.items() if kind in kinds), ())
        # That a function is of the wrong kind cannot be seen.
        if name in names and wrong and collections.abc.Callable not in kinds:
            yield name, [x for x in wrong if x is not None or type(None) not in kinds]


def public_functions():
    rooms = [value for name in dir(l2o) if inspect.ismodule(value := getattr(l2o, name))]
    # These make everything of settings that they have read.
    rooms = [room for room in rooms if room not in (l2o.runs, l2o.report)]
    for room in (l2o, *rooms):
        for name in dir(room):
            value = getattr(room, name)
            is_ours = getattr(value, "__module__", "").startswith("l2o.")
            is_concrete = callable(value) and not inspect.isabstract(value)
            if is_ours and is_concrete and not name.startswith("_"):
                yield name, value


def test_all_functions_are_here():
    known = {function.__name__ for function in CALLS} | MADE_BY_THE_LIBRARY
    assert {name for name, value in public_functions() if any(checked_parameters(value))} <= known
    assert all(any(checked_parameters(function)) for function in CALLS)


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_what_is_of_another_kind(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, wrong in checked_parameters(function):
        for value in wrong:
            with pytest.raises(ValueError, match=r"must|takes") as caught:
                function(**{**CALLS[function], name: value})
            sentence = str(caught.value)
            assert explains_itself(caught.value)
            assert name in sentence or function.__name__ in sentence
            assert "\n" not in sentence
            assert len(sentence) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: l2o.unroll(ADAM, FAMILY, KEY, 1), "task must be of type Task, .* method sample"),
        (
            lambda: evaluation.tune(optimizers.adam, **{**RUN, "family": TASK}),
            r"family must be of type TaskFamily, got Quadratic.*l2o.tasks.SingleTask\(task\).$",
        ),
        (
            lambda: evaluation.tune("adam", **RUN),
            "hand_designed must be of type HandDesigned, got 'adam'. Take .*optimizers.adam.$",
        ),
        (
            lambda: evaluation.evaluate({"a": ADAM, "b": optax.adam(0.1)}, **RUN),
            "The optimizer 'b' must be of type LearnedOptimizer, got .* through l2o.from_optax",
        ),
        (lambda: evaluation.evaluate(ADAM, **RUN), "optimizers must be of type Mapping"),
        (
            lambda: evaluation.evaluate({"a": ADAM}, **{**RUN, "key": 0}),
            r"^key must be a random key such as jax.random.key\(0\), got 0.$",
        ),
        (lambda: l2o.load("nowhere", architecture="GRU"), "architecture must be a class"),
        *(
            (
                lambda name=name, run=run, more=more: run(**{**RUN, **more, name: 2.5}),
                f"^{name} must be a whole number, got 2.5.$",
            )
            for name in ("num_tasks", "num_steps")
            for run, more in (
                (evaluation.evaluate, {"optimizers": {"a": ADAM}}),
                (evaluation.tune, {"hand_designed": optimizers.adam}),
                (mechanisms.record_gradients, {"optimizer": ADAM}),
            )
        ),
    ],
)
def test_sentences_say_what_to_do(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("key", [KEY, jax.random.PRNGKey(0), jax.random.key(0, impl="rbg")])
def test_old_and_new_keys_are_keys(key):
    check_key(key)
    jax.jit(check_key)(key)
    evaluation.evaluate({"a": ADAM}, FAMILY, key=key, num_tasks=1, num_steps=1)


def test_a_legacy_key_is_the_same_key():
    # A program that another module compiled with other optimizations rounds otherwise.
    jax.clear_caches()
    runs = [
        evaluation.evaluate({"a": ADAM}, FAMILY, key=key, num_tasks=2, num_steps=2).runs["a"].losses
        for key in (jax.random.key(3), jax.random.PRNGKey(3))
    ]
    np.testing.assert_array_equal(*runs)
    settings = {**ON_PROBLEM, "key": jax.random.PRNGKey(3), "num_tasks": 1, "horizon": 2}
    metatraining.check_metatraining(**settings, truncation=2, validation_tasks=1)
