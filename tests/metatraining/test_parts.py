"""Meta-training on several families at once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.metatraining import (
    PES,
    Curriculum,
    Exact,
    Imitation,
    MetaGradient,
    Part,
    check_metatraining,
    metatrain,
    metatrain_on_curriculum,
    programs,
)
from l2o.metatraining.meta_step import _to_blame
from l2o.metatraining.part import settled
from l2o.objectives import MeanLoss, NormalizedMeanLoss
from l2o.optimizers import GRU
from l2o.tasks import QuadraticFamily, SingleTask

pytestmark = pytest.mark.usefixtures("quick_compilation", "unchecked_annotations")

KEY = jax.random.key(4)
RATE = 0.1
COMMON = {
    "key": KEY,
    "num_tasks": 2,
    "horizon": 2,
    "truncation": 2,
    "validation_tasks": 2,
    "estimator": Exact(),
    "meta_optimizer": optax.sgd(0.01),
}


@pytest.fixture
def bowl(parabola):
    """A family of one parabola, whose losses are of any size."""
    return lambda curvature, start=1.5: SingleTask(parabola(jnp.array(curvature), jnp.array(start)))


def loss_and_slope(curvature, start, steps, rate=RATE):
    """The mean loss along a trajectory, and its derivative with respect to the learning rate."""
    count, factor = np.arange(steps + 1), 1 - rate * curvature
    loss = curvature * start**2 / 2 * factor ** (2 * count)
    powers = factor ** np.maximum(2 * count - 1, 0)
    slope = curvature * start**2 / 2 * -2 * count * curvature * powers
    return np.mean(loss), np.mean(slope)


def test_meta_gradients_are_averaged_with_the_weights(learnable_rate, bowl):
    result = metatrain(
        learnable_rate(jnp.asarray(RATE)),
        [
            Part(bowl(2.0), weight=3, name="steep"),
            Part(bowl(0.5, 3.0), num_tasks=3, horizon=6, truncation=3),
        ],
        meta_steps=1,
        validate_first=True,
        **COMMON,
    )
    (one, one_slope), (two, two_slope) = loss_and_slope(2.0, 1.5, 2), loss_and_slope(0.5, 3.0, 3)
    before, row = result.history
    np.testing.assert_allclose(row["meta_loss/steep"], one, rtol=1e-5)
    np.testing.assert_allclose(row["meta_loss/2"], two, rtol=1e-5)
    np.testing.assert_allclose(row["meta_loss"], (3 * one + two) / 4, rtol=1e-5)
    rate = RATE - 0.01 * (3 * one_slope + two_slope) / 4
    np.testing.assert_allclose(result.last_optimizer.rate, rate, rtol=1e-6)
    # Validation goes over each part's own horizon.
    scores = loss_and_slope(2.0, 1.5, 2)[0], loss_and_slope(0.5, 3.0, 6)[0]
    np.testing.assert_allclose(before["validation_score/steep"], scores[0], rtol=1e-5)
    np.testing.assert_allclose(before["validation_score/2"], scores[1], rtol=1e-5)
    np.testing.assert_allclose(before["validation_score"], (3 * scores[0] + scores[1]) / 4, 1e-5)
    np.testing.assert_allclose(before["distance/2"], 3 * (1 - RATE / 2) ** 6, rtol=1e-5)
    scores = before["validation_score"], row["validation_score"]
    np.testing.assert_allclose(result.best_score, min(scores), rtol=1e-6)


def test_normalised_parts_do_not_depend_on_the_size_of_losses(learnable_rate, bowl):
    """A loss of any size is divided by that where its trajectories begin, of either sign."""
    result = metatrain(
        learnable_rate(jnp.asarray(RATE)),
        [Part(bowl(2.0, 1e3), normalize=True), Part(bowl(-0.5, 1e-3), normalize=True)],
        meta_steps=1,
        **COMMON,
    )
    sizes = {2.0: 1.0, -0.5: 0.25}
    (one, one_slope), (two, two_slope) = (
        np.array(loss_and_slope(curvature, 1.0, 2)) / size for curvature, size in sizes.items()
    )
    np.testing.assert_allclose(result.history[0]["meta_loss"], (one + two) / 2, rtol=1e-5)
    rate = RATE - 0.01 * (one_slope + two_slope) / 2
    np.testing.assert_allclose(result.last_optimizer.rate, rate, rtol=1e-5)
    after = [loss_and_slope(curvature, 1.0, 2, rate)[0] / sizes[curvature] for curvature in sizes]
    np.testing.assert_allclose(result.best_score, np.mean(after), rtol=1e-4)


def test_parts_of_one_structure_share_a_program(learnable_rate, parabolas):
    traced = []

    class Counting(Exact):
        def through_window(self, *given):
            traced.append(1)
            return super().through_window(*given)

    def train(number):
        traced.clear()
        parts = [Part(parabolas(curvature=jnp.array(1.0 + n // 2))) for n in range(number)]
        settings = COMMON | {"estimator": Counting()}
        result = metatrain(learnable_rate(jnp.asarray(RATE)), parts, meta_steps=2, **settings)
        # The same family twice is other tasks, in validation, too.
        for measured in ("meta_loss", "validation_score"):
            assert result.history[1][f"{measured}/1"] != result.history[1][f"{measured}/2"]
        return len(traced)

    # Or else programs of other tests may push out those of the first training.
    jax.clear_caches()
    assert train(2) > 0
    assert train(4) == 0


@pytest.mark.parametrize("estimator", [Exact(), PES(0.05)])
def test_it_resumes_bit_for_bit(estimator, learnable_rate, parabolas, tmp_path, assert_trees_close):
    """With parts on different numbers of devices, at different windows of different horizons."""
    parts = [
        Part(parabolas(), num_tasks=2, horizon=6),
        Part(parabolas(curvature=1.0), num_tasks=3, horizon=4, truncation=1, normalize=True),
    ]

    # Noise of several leaves, and states of coordinates.
    is_pes = isinstance(estimator, PES)
    optimizer = GRU(2, key=KEY) if is_pes else learnable_rate(jnp.asarray(RATE))

    def run(meta_steps, folder=None, **more):
        return metatrain(
            optimizer,
            parts,
            meta_steps=meta_steps,
            folder=folder,
            imitation=Imitation(0.3),
            validation_every=2,
            **COMMON | {"estimator": estimator},
            **more,
        )

    straight = run(7)
    run(4, tmp_path)
    resumed = run(7, tmp_path, resume=True)
    assert_trees_close(straight.last_optimizer, resumed.last_optimizer, rtol=0)
    assert straight.best_score == resumed.best_score
    assert straight.history == resumed.history
    assert {"imitation/1", "imitation/2"} <= set(straight.history[0])


def test_only_the_part_that_is_to_blame_gives_up_its_problems(
    learnable_rate, parabolas, bowl, monkeypatch
):
    given_up = []
    give_up = programs._give_up

    def noted(part, *given):
        given_up.append(part.problems.num_tasks)
        return give_up(part, *given)

    monkeypatch.setattr(programs, "_give_up", noted)
    result = metatrain(
        learnable_rate(jnp.asarray(RATE)),
        [Part(bowl(2.0), num_tasks=2), Part(parabolas(share_of_nan=1.0), num_tasks=4)],
        meta_steps=2,
        **COMMON,
    )
    assert result.num_skipped == 2
    assert given_up == [4, 4]
    # Where all is finite but the update is not, nobody can be spared.
    sound, unsound = (
        MetaGradient(*map(jnp.asarray, (1.0, 0.0, size)), {}) for size in (1.0, np.nan)
    )
    for found, blamed in (
        ((sound, sound), [True, True]),
        ((sound, unsound), [False, True]),
        ((unsound,), [True]),
    ):
        assert list(_to_blame(found, jnp.asarray(True))) == blamed
        assert not any(_to_blame(found, jnp.asarray(False)))


def test_a_curriculum_of_parts(learnable_rate, parabolas):
    settings = {name: value for name, value in COMMON.items() if name not in ("horizon",)}
    result = metatrain_on_curriculum(
        learnable_rate(jnp.asarray(0.01)),
        [Part(parabolas()), Part(parabolas(curvature=1.0), horizon=8)],
        Curriculum((2, 4, 6)),
        meta_steps=4,
        validation_every=1,
        **settings,
    )
    first, second = (stage.history[0] for stage in result.stages)
    assert first["validation_score/1"] != second["validation_score/1"]
    assert len(result.stages) == 2


def test_memory_is_that_of_all_parts(learnable_rate, parabolas, monkeypatch):
    def state_of(*sizes):
        parts = [Part(parabolas(), num_tasks=size) for size in sizes]
        optimizer = learnable_rate(jnp.asarray(RATE))
        return check_metatraining(optimizer, parts, meta_steps=1).state

    # Parameter and initial loss of each task; a key and a counter of each part.
    assert state_of(2, 5) - state_of(2) == 5 * 2 * 4 + 8 + 4
    monkeypatch.setattr("l2o.metatraining.plan.available_memory", lambda: 4 * 10**9)
    with pytest.raises(ValueError, match="there are 4 GB"):
        state_of(2, 10**9)


BAD = [
    (lambda family: [], "at least one part"),
    (lambda family: [family], "Each part in family must be of type Part.*Part\\(family\\)"),
    (lambda family: [Part(family, horizon=7), Part(family)], "part 1: truncation must divide"),
    (lambda family: [Part(family, name="a"), Part(family, name="a")], "Two parts are called a"),
    *(
        (lambda family, w=weight: [Part(family), Part(family, weight=w)], "weight must be a finite")
        for weight in (0, -1.0, float("nan"), float("inf"), 1e308, 10**400, 1e-50)
    ),
    (
        lambda family: [Part(family, weight=1e-20), Part(family, weight=1e20)],
        "part 1: weight must not be nothing .* a share of 1.0e-40",
    ),
    (lambda family: [Part(family, num_tasks=1.5)], "num_tasks must be a whole number"),
    (lambda family: [Part(QuadraticFamily)], "family must be of type TaskFamily"),
    (lambda family: [Part(family, name=3)], "name must be of type str"),
    (lambda family: [Part(family, normalize=1)], "normalize must be of type bool"),
]


@pytest.mark.parametrize(("make", "sentence"), BAD)
def test_parts_that_do_not_fit(make, sentence, learnable_rate, parabolas):
    with pytest.raises(ValueError, match=sentence):
        metatrain(learnable_rate(jnp.asarray(RATE)), make(parabolas()), meta_steps=1, **COMMON)


@pytest.mark.parametrize("weight", [1.2e-38, 2e38, np.float32(3e38)])
def test_weights_of_any_size_are_shares(weight, parabolas):
    family = [Part(parabolas(), weight=weight), Part(parabolas(), weight=weight)]
    sizes = {"num_tasks": 1, "horizon": 1, "truncation": 1, "validation_horizon": None}
    parts = settled(family, **sizes, validation_family=None, objective=MeanLoss())
    assert [part.share for part in parts] == [0.5, 0.5]


def test_validation_is_as_long_as_a_part_says_itself(parabolas):
    parts = [Part(parabolas(), **own) for own in ({}, {"horizon": 4}, {"validation_horizon": 6})]
    given = {"num_tasks": 1, "horizon": 2, "truncation": 1, "validation_family": None}
    for horizon, expected in ((8, [8, 4, 6]), (None, [2, 4, 6])):
        done = settled(parts, **given, validation_horizon=horizon, objective=MeanLoss())
        assert [part.validation_horizon for part in done] == expected


def test_what_cannot_be_normalised(learnable_rate, parabolas, bowl, tmp_path):
    optimizer = learnable_rate(jnp.asarray(RATE))
    with pytest.raises(ValueError, match="relative to the initial one already"):
        metatrain(
            optimizer,
            [Part(parabolas(), normalize=True)],
            meta_steps=1,
            objective=NormalizedMeanLoss(),
            **COMMON,
        )
    with pytest.raises(ValueError, match=r"Part 1 cannot be normalised by its losses, .* is 0\.0"):
        metatrain(
            optimizer,
            [Part(bowl(2.0, 0.0), normalize=True)],
            meta_steps=1,
            folder=tmp_path / "run",
            **COMMON,
        )
    assert not (tmp_path / "run").exists()
    # Divided by so much, nothing of it would be left.
    with pytest.raises(ValueError, match=r"Part 1 cannot be normalised by its losses"):
        metatrain(
            optimizer,
            [Part(bowl(2.0, 1e19), normalize=True), Part(bowl(2.0))],
            meta_steps=1,
            **COMMON,
        )
    with pytest.raises(ValueError, match="validation_family is for a single family"):
        metatrain(
            optimizer, [Part(parabolas())], meta_steps=1, validation_family=parabolas(), **COMMON
        )
