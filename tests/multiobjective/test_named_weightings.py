"""Weightings by name, each before a hand-designed optimizer."""

import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o
from l2o import multiobjective as mo
from l2o.composition import WEIGHTING, Composed, find_member, members
from l2o.multiobjective.problems import ConflictingQuadraticsFamily
from l2o.optimizers import ALL_HAND_DESIGNED, HandDesigned, adam, lion, sgd
from l2o.runs.hand_designed import HAND_DESIGNED, check_hand_designed
from l2o.runs.making import (
    build_hand_designed,
    find_hand_designed,
    hand_designed_for,
)
from l2o.tasks import QuadraticFamily, SingleTask, Task, count_objectives

pytestmark = pytest.mark.usefixtures("quick_compilation")

NAMES = list(members(WEIGHTING))
FAMILY = ConflictingQuadraticsFamily(dimension=3, max_condition=2.0, max_log_factor=0.5)
NUM_STEPS = 40
REMEMBER = ("db-mtl", "excess-mtl", "moco")
JACOBIAN = jnp.asarray([[1.0, 2.0, -0.5], [0.5, -1.0, 1.5]])
LOSSES = jnp.asarray([2.0, 3.0, 4.0])


@functools.cache
def task():
    return FAMILY.sample(jax.random.key(1))


def first_update(optimizer, jacobian=JACOBIAN):
    """The update of zero parameters in the first step, in one program."""

    def step(jacobian):
        params = jnp.zeros(3)
        state = optimizer.init(params)
        return optimizer.update(jacobian, state, params, value=LOSSES[: len(jacobian)])[0]

    return jax.jit(step)(jacobian)


@pytest.mark.parametrize("name", NAMES)
def test_every_weighting_descends_before_adam(name):
    optimizer = build_hand_designed(f"{name}-adam", {"learning_rate": 0.1}, 2, num_steps=NUM_STEPS)
    losses = np.asarray(l2o.unroll(optimizer, task(), jax.random.key(0), NUM_STEPS).losses)
    assert losses.shape == (NUM_STEPS + 1, 2)
    assert np.isfinite(losses).all()
    assert losses[-1].mean() < losses[0].mean()


@pytest.mark.parametrize(
    "optimizer", [each.name for each in ALL_HAND_DESIGNED if each.name != "sam"]
)
def test_every_optimizer_takes_what_a_weighting_combines(optimizer):
    """The steps are those of the optimizer alone on the gradient of the mean loss."""
    behind = find_hand_designed(f"mean-{optimizer}", 2).with_hyperparameters()
    alone = find_hand_designed(optimizer).with_hyperparameters()
    assert find_hand_designed(f"mean-{optimizer}", 2).space == find_hand_designed(optimizer).space
    expected = first_update(alone, jnp.mean(JACOBIAN, axis=0))
    np.testing.assert_allclose(first_update(behind), expected, rtol=1e-6)


EARLIER = [
    (f"{name}-{optimizer.name}", weighting, optimizer)
    for name, weighting in {
        "mean": mo.mean,
        "mgda": mo.mgda,
        "upgrad": mo.upgrad,
        "pcgrad": mo.pcgrad,
    }.items()
    for optimizer in (sgd, adam)
]


@pytest.mark.parametrize(("name", "weighting", "optimizer"), EARLIER)
def test_names_of_earlier_versions_mean_the_same(name, weighting, optimizer):
    found = find_hand_designed(name)
    assert (found.name, found.space, found.defaults) == (name, optimizer.space, optimizer.defaults)
    assert found.build == mo.aggregated(name, weighting, optimizer).build
    # As they were put together then; a key for PCGrad's order would show with three objectives.
    earlier = optax.chain(mo.aggregate(weighting), optimizer.build(**optimizer.defaults))
    jacobian = jnp.asarray([[1.0, 2.0, -0.5], [-2.0, 1.0, 0.1], [0.1, -3.0, -1.0]])
    expected = first_update(earlier, jacobian)
    now = find_hand_designed(name, 3).with_hyperparameters()
    np.testing.assert_array_equal(first_update(now, jacobian), expected)


def combined(weighting):
    return first_update(mo.make_aggregator(weighting, 2))


def test_the_forms_of_weightings():
    """Each is combined by hand."""
    weights = jax.jit(mo.upgrad)(JACOBIAN @ JACOBIAN.T)
    np.testing.assert_allclose(combined(mo.upgrad), weights @ JACOBIAN, rtol=1e-6)
    np.testing.assert_array_equal(combined(mo.sum_), JACOBIAN[0] + JACOBIAN[1])
    # Of losses: the derivatives of sqrt(2 * 3).
    by_hand = 0.5 * 6**0.5 * (JACOBIAN[0] / 2 + JACOBIAN[1] / 3)
    np.testing.assert_allclose(combined(mo.geometric_mean), by_hand, rtol=1e-6)
    # With a state, as a class and as an object.
    by_hand = (JACOBIAN[0] / 2 + JACOBIAN[1] / 3) / 2
    for weighting in (mo.InitialLoss, mo.InitialLoss()):
        np.testing.assert_allclose(combined(weighting), by_hand, rtol=1e-6)
    # Transformations, made and to be made: of tracked gradients, half of the first ones.
    for weighting in (mo.moco, mo.moco(2)):
        halves = np.asarray(JACOBIAN) / 2
        slope = halves @ halves.T @ np.full(2, 0.5)
        moved = 0.5 - 0.1 * (slope - slope.mean())
        np.testing.assert_allclose(combined(weighting), moved @ halves, rtol=1e-5)
    # Of the gradients themselves, and at random: one sign in every coordinate.
    kept = combined(mo.graddrop)
    conflict = np.asarray(JACOBIAN[:, 1:])
    assert kept[0] == 1.5
    assert all(kept[1 + i] in conflict[:, i] for i in range(2))
    key = jax.random.fold_in(jax.random.key(0), 0)
    np.testing.assert_array_equal(kept, jax.jit(mo.graddrop)(JACOBIAN, key=key))
    np.testing.assert_array_equal(kept, combined(mo.graddrop))


def test_what_is_listed_is_all_that_can_be_made_of_a_name():
    """Of a name there is neither a constant's weights nor how many workers are faulty."""
    left_out = {"Scalarized", "constant", "gradvac", "krum", "trimmed_mean"}
    assert {"gradvac", "sum", "nash-mtl", "gradnorm", "modo", "imtl-l", "stch"} <= set(NAMES)
    assert left_out.isdisjoint(member.attribute for member in members(WEIGHTING).values())
    assert find_member(WEIGHTING, "GradVac").load() is mo.GradVac
    for name, member in members(WEIGHTING).items():
        weighting = member.load()
        assert getattr(mo, member.attribute) is weighting
        assert isinstance(mo.make_aggregator(weighting, 2), optax.GradientTransformation)
        assert member.description
        assert "`" not in member.description
        # Those that need no more have defaults for all their settings.
        assert all(setting.name for setting in Composed(name).settings(WEIGHTING).values())
    assert all(hasattr(mo, name) for name in left_out)


def test_weightings_remember_as_many_objectives_as_there_are():
    for name in REMEMBER:
        with pytest.raises(ValueError, match=r"^\w+ remembers every objective: pass num_obj"):
            find_hand_designed(f"{name}-adam")
    with pytest.raises(ValueError, match=r"^FAMO has a state for every objective"):
        find_hand_designed("famo-adam")
    for num_quadratics in (1, 3):
        family = ConflictingQuadraticsFamily(num_quadratics=num_quadratics, dimension=3)
        assert count_objectives(family) == num_quadratics
        for made in hand_designed_for(["famo-sgd", "moco-sgd"], family).values():
            optimizer = made.with_hyperparameters()
            first_update(optimizer, jnp.ones((num_quadratics, 3)))
            with pytest.raises(ValueError, match=f"{num_quadratics}"):
                first_update(optimizer, jnp.ones((2, 3)))


class Matrix(Task):
    """Its value is neither a loss nor a vector of them."""

    def init(self, key):
        return jnp.zeros(2)

    def loss(self, params, batch):
        return jnp.sum(params)

    def value(self, params, batch):
        return jnp.outer(params, params)


def test_losses_are_counted():
    assert count_objectives(QuadraticFamily(2)) is None
    assert count_objectives(FAMILY) == 2
    with pytest.raises(ValueError, match=r"a vector of losses; matrix has .* shape \(2, 2\)\.$"):
        count_objectives(SingleTask(Matrix()))


@pytest.mark.parametrize(
    ("name", "family", "said"),
    [
        ("upgrad-adam", QuadraticFamily(2), r"upgrad-adam is for tasks with several.*take adam\.$"),
        ("lion", FAMILY, r"lion is for tasks with one loss, .* have 2: .* upgrad-lion \(see"),
        ("sam", FAMILY, r"sam is for tasks with one loss, .* have 2: .* upgrad-adam \(see"),
        ("upgrad-sam", FAMILY, "must be one of sgd, .*sam goes behind no weighting"),
        ("famo-adm", FAMILY, "must be one of sgd, .*Did you mean 'famo-adam'"),
        ("upgard-lion", FAMILY, "must be one of sgd, .*Did you mean 'upgrad-lion'"),
        ("adma", QuadraticFamily(2), "must be one of sgd, .*Did you mean 'adan'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(name, family, said):
    with pytest.raises(ValueError, match=said):
        hand_designed_for(["mean-sgd" if family is FAMILY else "sgd", name], family)


def test_names_are_of_all_weightings_before_all_optimizers_of_one_gradient():
    for weighting in NAMES:
        for optimizer in HAND_DESIGNED:
            if optimizer != "sam":
                check_hand_designed(f"{weighting}-{optimizer}")


def test_they_are_data():
    """So they are compiled once, and go to other processes."""
    for name in ("moco-lion", "graddrop-lion", "famo-lion", "stch-lion", "sum-lion"):
        one, other = (
            find_hand_designed(name, 2).with_hyperparameters(learning_rate=0.1) for _ in range(2)
        )
        assert one.transformation == other.transformation
        assert pickle.loads(pickle.dumps(one)).transformation == one.transformation
    assert isinstance(mo.aggregated("mine", mo.FAMO, lion, num_objectives=2), HandDesigned)
