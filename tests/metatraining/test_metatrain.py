import itertools
import json
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.metatraining import (
    Exact,
    FirstOrder,
    metatrain,
    read_metrics,
)
from l2o.metatraining.devices import device_mesh
from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.objectives import FinalLoss
from l2o.optimizers import GRU
from l2o.tasks import QuadraticFamily, SingleTask

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(7)
# Whatever the meta-gradient, the learning rate rises by 0.1 a meta-step.
RISE = optax.stateless(lambda updates, _: jax.tree.map(lambda x: jnp.full_like(x, 0.1), updates))
SMALL = {"num_tasks": 2, "horizon": 2, "truncation": 2, "validation_tasks": 2}


def test_it_finds_the_best_learning_rate(learnable_rate, parabolas):
    result = metatrain(
        learnable_rate(jnp.asarray(0.1)),
        parabolas(curvature=2.0),
        key=KEY,
        meta_steps=100,
        num_tasks=2,
        horizon=1,
        truncation=1,
        objective=FinalLoss(),
        estimator=Exact(),
        meta_optimizer=optax.adam(optax.exponential_decay(0.05, 20, 0.5)),
        validation_tasks=2,
    )
    np.testing.assert_allclose(result.optimizer.rate, 0.5, atol=0.01)
    np.testing.assert_allclose(result.last_optimizer.rate, 0.5, atol=0.01)
    assert result.best_score < 1e-3
    assert result.num_skipped == 0


def test_it_teaches_a_gru_to_minimise_quadratics():
    family = QuadraticFamily(2, (-1.0, 0.0))
    settings = {"num_tasks": 8, "horizon": 20, "truncation": 10, "validation_every": 20}
    result = metatrain(
        GRU(8, "log", output_scale=0.1, key=KEY),
        family,
        key=KEY,
        meta_steps=120,
        meta_optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.02)),
        **settings,
    )
    scores = [row["validation_score"] for row in result.history if "validation_score" in row]
    assert len(scores) == 6
    # Its first window, on average, is that of an optimizer that does nothing.
    assert result.best_score == min(scores)
    assert result.best_score < 0.5 * result.history[0]["meta_loss"]
    assert result.best_score < 0.8 * scores[0]


@pytest.fixture(scope="module")
def rising(learnable_rate, parabolas, tmp_path_factory):
    """Ten meta-steps of a learning rate that rises past its best value, and their folder."""
    folder = tmp_path_factory.mktemp("run")
    progress = []
    result = metatrain(
        learnable_rate(jnp.asarray(0.0)),
        parabolas(curvature=2.0),
        key=KEY,
        meta_steps=10,
        objective=FinalLoss(),
        meta_optimizer=RISE,
        validation_every=1,
        folder=folder,
        on_progress=progress.append,
        **SMALL,
    )
    return result, folder, progress


def test_the_best_on_validation_is_kept(rising):
    result, _, _ = rising
    np.testing.assert_allclose(result.optimizer.rate, 0.5, rtol=1e-5)
    np.testing.assert_allclose(result.last_optimizer.rate, 1.0, rtol=1e-5)
    assert result.best_step == 5
    scores = [row["validation_score"] for row in result.history]
    assert result.best_score == scores[4] == min(scores)
    # The tasks of validation are always the same; a loss of c (1 - c rate)^4 x^2 / 2 on each.
    expected = (1 - 0.2 * np.arange(1, 11)) ** 4
    np.testing.assert_allclose(scores, expected * scores[9], rtol=1e-3, atol=1e-6)


class PulledTo(Regularizer):
    """Half the squared distance to a point."""

    point: float = eqx.field(static=True, default=0.0)

    def value(self, loss, params, found):
        return (params - self.point) ** 2 / 2


def test_validation_is_of_the_whole_meta_loss(learnable_rate, parabolas):
    def train(objective_weight, *regularizers):
        return metatrain(
            learnable_rate(jnp.asarray(0.0)),
            parabolas(curvature=2.0),
            key=KEY,
            meta_steps=10,
            objective=FinalLoss(),
            objective_weight=objective_weight,
            regularizers=regularizers,
            meta_optimizer=RISE,
            validation_every=1,
            **SMALL,
        )

    def scores(result):
        return np.array([row["validation_score"] for row in result.history])

    bare, pulled = train(1.0), train(0.25, PulledTo(3.0))
    rates = 0.1 * np.arange(1, 11)
    mean_square = scores(bare)[9]
    # Regularizers act where the two steps begin.
    distances = (1 + (1 - 2 * rates) ** 2) / 2 / 2 * mean_square
    np.testing.assert_allclose(
        scores(pulled), 0.25 * scores(bare) + 3 * distances, rtol=1e-3, atol=1e-6
    )
    # Pulled to where they begin, the parameters had better stay there.
    stays = train(0.0, PulledTo(1.0, point=1.5))
    assert stays.best_step < 3 < bare.best_step
    # Weights are those of the last meta-step throughout.
    late = train(1.0, PulledTo(1.0, schedule=lambda meta_step: 1.0 * (meta_step == 9)))
    always = train(1.0, PulledTo(1.0))
    np.testing.assert_allclose(scores(late), scores(always), rtol=1e-6)


def test_what_a_run_tells(rising):
    result, folder, progress = rising
    assert [row["meta_step"] for row in result.history] == list(range(1, 11))
    for row in result.history:
        names = {"meta_step", "meta_loss", "gradient_norm", "num_skipped"}
        assert set(row) == names | {"validation_score", "distance", "score"}
        assert row["score"] == -7.0
    written = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert written == result.history == read_metrics(folder)
    events = list((folder / "tensorboard").iterdir())
    assert [path.name.startswith("events") for path in events] == [True]
    assert b"validation_score" in events[0].read_bytes()
    assert [made.meta_step for made in progress] == list(range(1, 11))
    assert all(made.meta_steps == 10 for made in progress)
    # The first meta-step is mostly compilation, which says nothing of the others.
    assert progress[0].meta_steps_per_second is progress[0].seconds_left is None
    assert all(made.meta_steps_per_second > 0 for made in progress[1:])
    assert progress[-1].seconds_left == 0
    assert progress[-1].meta_loss == result.history[-1]["meta_loss"]
    assert progress[-1].validation_score == result.history[-1]["validation_score"]


def test_a_last_line_that_was_cut_off_is_left_out(rising, tmp_path):
    _, folder, _ = rising
    whole = (folder / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(whole[:-5])
    assert read_metrics(tmp_path) == read_metrics(folder)[:-1]
    assert read_metrics(tmp_path / "nowhere") == []


def test_meta_gradients_that_are_not_finite_are_counted_and_skipped(
    learnable_rate, parabolas, tmp_path
):
    result = metatrain(
        learnable_rate(jnp.asarray(0.0)),
        parabolas(share_of_nan=0.3),
        key=KEY,
        meta_steps=30,
        num_tasks=2,
        horizon=20,
        truncation=2,
        meta_optimizer=RISE,
        validation_family=parabolas(),
        validation_every=5,
        validation_tasks=2,
        folder=str(tmp_path),
    )
    counts = [0, *(row["num_skipped"] for row in result.history)]
    skipped = [after - before for before, after in itertools.pairwise(counts)]
    assert set(skipped) == {0, 1}
    # Bad tasks are given up at once; kept to the end, they would spoil ten windows each.
    assert sum(skipped) < 10
    assert result.num_skipped == sum(skipped)
    # Each of the others raised the learning rate, and only they did.
    np.testing.assert_allclose(result.last_optimizer.rate, 0.1 * (30 - sum(skipped)), rtol=1e-5)
    for row, was_skipped in zip(result.history, skipped, strict=True):
        assert (row["meta_loss"] is None) == bool(was_skipped)
    assert math.isfinite(result.best_score)


class Spike(FirstOrder):
    """One meta-gradient that is finite, but whose square is not."""

    def __call__(self, *given):
        found, state = super().__call__(*given)
        factor = jnp.where(given[-1] == 1, 1e25, 1.0)
        found = eqx.tree_at(lambda found: found.gradient.rate, found, replace_fn=factor.__mul__)
        return found, state


def step_beyond(update):
    """A step that is not finite where the gradient is huge, and small elsewhere."""
    return -update * jnp.where(jnp.abs(update) > 1e20, 1e20, 1e-3)


def begun_with(value):
    """A transformation with a state that begins, and stays, as it is."""
    return optax.GradientTransformation(
        lambda _: jnp.asarray(value), lambda updates, state, _: (updates, state)
    )


@pytest.mark.parametrize(
    ("meta_optimizer", "skips"),
    [
        (optax.adam(0.125), True),
        (optax.stateless_with_tree_map(lambda update, _: step_beyond(update)), True),
        # What is infinite from the beginning is meant to be.
        (optax.chain(begun_with(jnp.inf), optax.scale_by_sign(), optax.scale(-0.125)), False),
    ],
)
def test_steps_that_end_in_what_is_not_finite(meta_optimizer, skips, learnable_rate, parabolas):
    def train(meta_steps):
        return metatrain(
            learnable_rate(jnp.asarray(0.0)),
            parabolas(),
            key=KEY,
            meta_steps=meta_steps,
            estimator=Spike(),
            meta_optimizer=meta_optimizer,
            validation_every=100,
            **SMALL,
        )

    before, at, after = (train(meta_steps) for meta_steps in (1, 2, 4))
    assert [row["num_skipped"] for row in after.history] == [0, skips, skips, skips]
    assert after.num_skipped == int(skips)
    assert before.num_skipped == 0
    assert all(math.isfinite(row["meta_loss"]) for row in after.history)
    assert (before.last_optimizer.rate == at.last_optimizer.rate) == skips
    # The meta-optimizer was not frozen by it.
    assert at.last_optimizer.rate != after.last_optimizer.rate


@pytest.mark.parametrize("num_devices", [1, 2])
def test_as_many_devices_as_divide_the_tasks(
    num_devices, learnable_rate, parabola, assert_trees_close
):
    num_tasks = {1: 3, 2: 4}[num_devices]
    assert device_mesh(num_tasks).size == num_devices
    result = metatrain(
        learnable_rate(jnp.asarray(0.1)),
        # The same task each time, so that the number of tasks is all the same.
        SingleTask(parabola(jnp.asarray(2.0), jnp.asarray(1.5))),
        key=KEY,
        meta_steps=3,
        num_tasks=num_tasks,
        horizon=4,
        truncation=2,
        meta_optimizer=optax.sgd(0.01),
        validation_tasks=num_tasks,
    )
    # Windows 1 and 2 of one task, then window 1 of the next, first-order, by hand.
    rate, x = 0.1, 1.5
    for window in range(3):
        x = 1.5 if window == 2 else x
        points = x * (1 - 2 * rate) ** np.arange(3)
        slopes = 2 * points
        gradient = -np.mean(slopes * np.array([0, slopes[0], slopes[0] + slopes[1]]))
        np.testing.assert_allclose(result.history[window]["meta_loss"], np.mean(points**2), 1e-5)
        np.testing.assert_allclose(
            result.history[window]["gradient_norm"], np.abs(gradient), rtol=1e-5
        )
        x, rate = points[-1], rate - 0.01 * gradient
    np.testing.assert_allclose(result.last_optimizer.rate, rate, rtol=1e-5)


class OnOneDevice(FirstOrder):
    def mesh(self, optimizer, num_tasks):
        return device_mesh(num_tasks)


def test_devices_share_the_coordinates_of_a_single_task(random_like, assert_trees_close):
    assert device_mesh(1, split_coordinates=True).size == 2
    results = [
        metatrain(
            random_like(eqx.filter_eval_shape(lambda: GRU(3, key=KEY)), scale=0.3),
            # The second device's part is not full.
            QuadraticFamily(5),
            key=KEY,
            meta_steps=3,
            num_tasks=1,
            horizon=4,
            truncation=2,
            estimator=estimator,
            meta_optimizer=optax.sgd(0.01),
            validation_tasks=1,
        )
        for estimator in (FirstOrder(), OnOneDevice())
    ]
    shared, alone = ((result.last_optimizer, result.history) for result in results)
    assert_trees_close(shared, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "meta_steps",
        "num_tasks",
        "horizon",
        "truncation",
        "validation_every",
        "validation_tasks",
        "checkpoint_every",
    ],
)
def test_sizes_below_one(name, learnable_rate, parabolas):
    settings = {"meta_steps": 1, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be .*at least 1"):
        metatrain(learnable_rate(jnp.asarray(0.1)), parabolas(), key=KEY, **settings)


@pytest.mark.parametrize(("horizon", "truncation"), [(10, 3), (10, 20)])
def test_windows_that_do_not_fill_the_horizon(horizon, truncation, learnable_rate, parabolas):
    with pytest.raises(ValueError, match="truncation must divide horizon"):
        metatrain(
            learnable_rate(jnp.asarray(0.1)),
            parabolas(),
            key=KEY,
            meta_steps=1,
            horizon=horizon,
            truncation=truncation,
        )
