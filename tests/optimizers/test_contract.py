"""What every optimizer has to do, whatever it is made of."""

import copy
import functools
import pickle
import re
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o.mechanisms import coordinate_dynamics, explain
from l2o.multiobjective import (
    FAMO,
    ML2O,
    BehindWeighting,
    PlainML2O,
    aggregated,
    guards,
    moco,
    upgrad,
)
from l2o.optimizers import (
    ALL_HAND_DESIGNED,
    DM,
    GRU,
    AdafacMLP,
    Celo2,
    Hierarchical,
    LearnedOptimizer,
    NominalMLP,
    RNNProp,
    adam,
    from_optax,
    momentum,
    per_task,
    sgd,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)


def params():
    """Fresh arrays, since tests give them away."""
    return {
        "matrix": jnp.asarray([[0.5, -2.0], [1.0, 0.0]]),
        "scalar": jnp.asarray(0.3),
        "empty": jnp.zeros((0, 3)),
        "one": jnp.ones(1),
    }


def loss(params):
    return jnp.sum(params["matrix"] ** 2) + params["scalar"] ** 2 + jnp.sum(jnp.sin(params["one"]))


def losses(params):
    return jnp.stack([loss(params), jnp.sum(jnp.cos(params["matrix"])) - params["scalar"]])


class Case(NamedTuple):
    make: Callable[[], LearnedOptimizer]
    num_objectives: int | None = None
    saves: bool = False
    """Whether `l2o.save` takes it; hand-designed ones have no weights."""
    explains: bool = False
    """Whether `explain` is tried: it takes long, so on one of each kind."""

    def value_fn(self):
        return loss if self.num_objectives is None else losses

    def gradients(self, params):
        return jax.jacrev(self.value_fn())(params)


CASES = {
    "dm": Case(lambda: DM(3, key=KEY), saves=True),
    "rnnprop": Case(lambda: RNNProp(3, key=KEY), saves=True, explains=True),
    "gru": Case(lambda: GRU(3, "log", 0.5, 2.0, key=KEY), saves=True),
    "hierarchical": Case(lambda: Hierarchical(2, 3, 4, key=KEY), saves=True),
    "nominal": Case(lambda: NominalMLP(2, True, True, key=KEY), saves=True),
    "celo2": Case(lambda: Celo2(2, key=KEY), saves=True),
    "adafac": Case(lambda: AdafacMLP(2, key=KEY), saves=True),
    "ml2o": Case(lambda: ML2O(2, 3, key=KEY), 2, saves=True),
    "upgrad-dm": Case(lambda: BehindWeighting(DM(3, key=KEY), "upgrad"), 2, saves=True),
    "moco-dm": Case(lambda: BehindWeighting(DM(3, key=KEY), "moco", {}, 2), 2, saves=True),
    "plain ml2o": Case(lambda: PlainML2O(2, 3, key=KEY), 2, saves=True),
    **{
        optimizer.name: Case(optimizer.with_hyperparameters, explains=optimizer.name == "adam")
        for optimizer in ALL_HAND_DESIGNED
    },
    "upgrad-adam": Case(aggregated("upgrad-adam", upgrad, adam).with_hyperparameters, 2),
    "famo-sgd": Case(
        lambda: aggregated("famo-sgd", FAMO(), sgd, num_objectives=2).with_hyperparameters(), 2
    ),
    "moco-sgd": Case(
        lambda: aggregated("moco-sgd", moco, sgd, num_objectives=2).with_hyperparameters(), 2
    ),
    "guarded dm": Case(lambda: l2o.guard(DM(3, key=KEY))),
    "guarded momentum": Case(
        lambda: l2o.guard(momentum.with_hyperparameters(), guards.ResidualTest())
    ),
    "momentum guarded at intervals": Case(
        lambda: guards.guard_at_intervals(momentum.with_hyperparameters(), loss, every=2)
    ),
}


LEARNED = [name for name, case in CASES.items() if case.saves]


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def update(case, optimizer, params, state):
    value_fn = case.value_fn()
    grads = case.gradients(params)
    updates, state = optimizer.update(
        grads, state, params, value=value_fn(params), grad=grads, value_fn=value_fn
    )
    return optax.apply_updates(params, updates), state


@pytest.mark.parametrize("name", CASES)
def test_it_runs_compiled_mapped_and_on_donated_buffers(name, shared_buffers):
    """What is computed in one program and in another, eagerly begun or not, is the same."""
    case = CASES[name]
    optimizer = case.make()
    state = optimizer.init(params())
    before = params()
    assert not shared_buffers(optimizer, before, state)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state):
        begun = optimizer.init(params)
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
        if isinstance(optimizer, l2o.optimizers.CoordinatewiseOptimizer):
            several = jax.vmap(optimizer.init)(stacked)
        else:
            several = per_task(optimizer).init(stacked)
        mapped = jax.vmap(functools.partial(update, case, optimizer))(stacked, several)
        return update(case, optimizer, params, state), begun, mapped

    kept = jax.tree.map(np.array, state)
    (moved, new_state), begun, (mapped, mapped_state) = step(before, state)
    same(begun, kept)
    for task in range(2):
        same(jax.tree.map(lambda leaf, task=task: leaf[task], mapped), moved)
        same(jax.tree.map(lambda leaf, task=task: leaf[task], mapped_state), new_state)
    # The optimizer has not been given away, nor is the new state tied to what was.
    again, _ = update(case, optimizer, moved, new_state)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(again))
    assert not shared_buffers(optimizer, moved, new_state)


def same(actual, desired):
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


WIDTHS = {
    "single everywhere": (jnp.float32, jnp.float32),
    "double parameters": (jnp.float32, jnp.float64),
    "double weights": (jnp.float64, jnp.float32),
    "half parameters": (jnp.float32, jnp.bfloat16),
}


def in_dtype(tree, dtype):
    def cast(leaf):
        is_float = eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if is_float else leaf

    return jax.tree.map(cast, tree)


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_a_state_keeps_its_dtypes(case, widths):
    """Where JAX may use double precision, too; nothing is compiled."""
    optimizer = case.make()
    with jax.enable_x64(True):
        optimizer = in_dtype(optimizer, widths[0])

        def two_steps(params):
            state = optimizer.init(params)
            moved, first = update(case, optimizer, params, state)
            _, second = update(case, optimizer, moved, first)
            return params, moved, state, first, second

        given, moved, *states = eqx.filter_eval_shape(two_steps, in_dtype(params(), widths[1]))
    assert jax.tree.leaves(moved) == jax.tree.leaves(given)
    dtypes = [[leaf.dtype for leaf in jax.tree.leaves(state)] for state in states]
    assert dtypes[0] == dtypes[1] == dtypes[2]
    if case.saves:
        wider = jnp.promote_types(jnp.float32, jnp.promote_types(*widths))
        assert {dtype for dtype in dtypes[0] if jnp.issubdtype(dtype, jnp.floating)} == {wider}


# The programs of ML2O and of weightings use double precision where there is some.
@pytest.mark.parametrize("name", sorted({*LEARNED} - {"ml2o", "upgrad-dm", "moco-dm"}))
def test_single_precision_is_not_left_on_the_way(name):
    """Where JAX may use double precision: constants without a dtype would be in it."""
    case = CASES[name]
    optimizer, given = case.make(), params()
    state = optimizer.init(given)
    grads = case.gradients(given)
    with jax.enable_x64(True):
        program = jax.make_jaxpr(optimizer.update)(grads, state, given)
    assert not re.search(r"f64\[[^]]", str(program))


def test_it_is_pickled_copied_and_compared(case):
    optimizer = case.make()
    for other in (
        pickle.loads(pickle.dumps(optimizer)),
        copy.copy(optimizer),
        copy.deepcopy(optimizer),
        case.make(),
    ):
        assert other == optimizer
        assert jax.tree.structure(other) == jax.tree.structure(optimizer)
        assert hash(jax.tree.structure(other)) == hash(jax.tree.structure(optimizer))


def test_it_is_saved_and_loaded_or_says_why_not(case, tmp_path):
    optimizer = case.make()
    if case.saves:
        l2o.save(optimizer, tmp_path)
        assert l2o.load(tmp_path) == optimizer
    else:
        with pytest.raises(ValueError, match="cannot be saved"):
            l2o.save(optimizer, tmp_path / "new")
        assert not (tmp_path / "new").exists()


MODULE = eqx.nn.MLP(2, 1, 3, 1, key=KEY)


def test_a_whole_module_is_refused_for_the_functions_in_it(case):
    with pytest.raises(ValueError, match=r"must be .*numbers, got .*activation.*eqx.filter"):
        case.make().init(MODULE)


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (jnp.ones(2, jnp.complex64), "got complex64 at .*split_real_and_imaginary"),
        (jnp.ones(2, jnp.int32), "got int32 at"),
        (jnp.ones(2, bool), "got bool at"),
        (3, "got int at"),
        ("text", "got str at"),
    ],
)
def test_other_than_real_numbers_are_refused(name, leaf, message):
    case = CASES[name]
    optimizer = case.make()
    with pytest.raises(ValueError, match=rf"Parameters must be real floating.*{message}"):
        optimizer.init({"x": leaf})
    state = jax.eval_shape(optimizer.init, {"x": jnp.ones(2)})
    stacked = leaf if case.num_objectives is None or not hasattr(leaf, "shape") else leaf[None]
    with pytest.raises(ValueError, match=rf"Gradients must be real floating.*{message}"):
        optimizer.update({"x": stacked}, state)


# MoCo has a state of its own, which is met first.
@pytest.mark.parametrize("name", sorted({*LEARNED} - {"moco-dm"}))
def test_gradients_of_other_shapes_than_the_state_are_refused(name):
    case = CASES[name]
    optimizer = case.make()
    leading = () if case.num_objectives is None else (case.num_objectives,)
    state = optimizer.init({"x": jnp.ones((2, 3))})
    with pytest.raises(ValueError, match="state is that of 6 parameters, got gradients of 4"):
        optimizer.update({"x": jnp.ones((*leading, 4))}, state)
    with pytest.raises(ValueError, match=r"shapes of the parameters, \[.*2, 3\)\], got \[.*3, 2\)"):
        optimizer.update({"x": jnp.ones((*leading, 3, 2))}, state, {"x": jnp.ones((2, 3))})


def test_other_numbers_of_tensors_are_refused_where_they_matter():
    optimizer = Hierarchical(2, 3, 4, key=KEY)
    state = jax.eval_shape(optimizer.init, {"x": jnp.ones(2), "y": jnp.ones(3)})
    with pytest.raises(ValueError, match="state is that of 2 tensors, got gradients of 1"):
        optimizer.update({"x": jnp.ones(5)}, state)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.explains])
def test_it_can_be_explained(name):
    optimizer = CASES[name].make()
    assert coordinate_dynamics(optimizer).initial_state.size > 0
    assert explain(optimizer, num_steps=5).state_size > 0


def test_only_transformations_become_optimizers():
    with pytest.raises((ValueError, TypeError), match="transformation"):
        from_optax(momentum)


def test_an_optax_state_does_not_hold_the_parameters_themselves(shared_buffers):
    """As that of an optimizer that remembers where it began may."""
    remembers = optax.GradientTransformation(
        lambda params: (params, params), lambda updates, state, params=None: (updates, state)
    )
    given = params()
    assert not shared_buffers(given, from_optax(remembers).init(given))


class Widening(l2o.optimizers.CoordinatewiseOptimizer):
    """A user's rule with a constant that has the default precision."""

    def init_coordinates(self, count):
        return jnp.zeros(count)

    def step(self, gradient, state, step):
        return -gradient, state + gradient * jnp.asarray(np.float64(0.5))


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        (Widening(), jnp.float32),
        (from_optax(optax.sgd(0.1, momentum=np.float32(0.9))), jnp.bfloat16),
    ],
    ids=["own rule", "optax"],
)
def test_a_state_keeps_its_dtypes_whatever_the_rule_does(optimizer, dtype):
    with jax.enable_x64(True):
        given = jax.ShapeDtypeStruct((2,), dtype)
        state = jax.eval_shape(optimizer.init, given)
        _, after = jax.eval_shape(optimizer.update, given, state)
    assert jax.tree.leaves(after) == jax.tree.leaves(state)
