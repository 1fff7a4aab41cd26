import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float

from l2o import optimizers
from l2o.evaluation import Runs, draw_tasks, evaluate, evaluation_key
from l2o.objectives import MeanLoss, NormalizedMeanLoss
from l2o.optimizers import from_optax
from l2o.tasks import Quadratic, SingleTask, Task, TaskFamily

NUM_STEPS = 6


class Line(Task):
    """Fits a slope to noisy points, with minibatches and held-out metrics."""

    slope: Float[Array, ""]

    def init(self, key):
        return jax.random.normal(key)

    def sample(self, key):
        x, noise = jax.random.normal(key, (2, 4))
        return x, self.slope * x + 0.1 * noise

    def loss(self, params, batch):
        x, y = batch
        return jnp.mean((params * x - y) ** 2)

    def evaluate(self, params):
        error = jnp.abs(params - self.slope)
        # The last two are called like what evaluation itself keeps.
        return {
            "test_loss": error**2,
            "test_accuracy": jnp.exp(-error),
            "angle": jnp.arctan(error),
            "mean_train_loss": -error,
            "objective": -error,
        }


BOWL = SingleTask(Quadratic(jnp.diag(jnp.array([1.0, 0.1])), jnp.ones(2)))


class Lines(TaskFamily):
    def sample(self, key):
        return Line(jax.random.normal(key))


def key(seed=0):
    return jax.random.key(seed)


SLOW, FAST = from_optax(optax.sgd(0.01)), from_optax(optax.adam(0.3))


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(
        {"slow": SLOW, "fast": FAST, "again": FAST},
        Lines(),
        key=key(),
        num_tasks=5,
        num_steps=NUM_STEPS,
        objective=NormalizedMeanLoss(),
    )


def losses_by_hand(transformation, num_tasks=5):
    """The same runs as `evaluate`, without the inner loop, batches of tasks or compilation."""
    draw = draw_tasks(Lines(), evaluation_key(key()), num_tasks)
    batch_key = jax.random.split(draw.key, 3)[1]
    losses, ends = np.zeros((num_tasks, NUM_STEPS + 1)), []
    for index in range(num_tasks):
        task = Line(draw.tasks.task.slope[index])
        params = draw.params[index]
        state = transformation.init(params)
        for step in range(NUM_STEPS + 1):
            batch = task.sample(
                jax.random.split(jax.random.fold_in(batch_key, step), num_tasks)[index]
            )
            losses[index, step] = task.loss(params, batch)
            if step < NUM_STEPS:
                grads = jax.grad(task.loss)(params, batch)
                updates, state = transformation.update(grads, state, params)
                params = optax.apply_updates(params, updates)
        ends.append(task.evaluate(params))
    return losses, {name: np.array([end[name] for end in ends]) for name in ends[0]}


@pytest.mark.parametrize(
    ("name", "transformation"), [("slow", optax.sgd(0.01)), ("fast", optax.adam(0.3))]
)
def test_runs_are_those_made_by_hand_task_by_task(evaluation, name, transformation):
    losses, held_out = losses_by_hand(transformation)
    runs = evaluation.runs[name]
    np.testing.assert_allclose(runs.losses, losses, rtol=1e-4, atol=1e-6)
    for metric, values in held_out.items():
        np.testing.assert_allclose(runs.held_out[metric], values, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        runs.objective, np.mean(losses / losses[:, :1], axis=1), rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(runs.metrics["mean_train_loss"], losses.mean(axis=1), rtol=1e-4)
    np.testing.assert_array_equal(runs.metrics["final_train_loss"], runs.losses[:, -1])


def test_all_optimizers_meet_the_same(evaluation):
    runs = evaluation.runs
    np.testing.assert_array_equal(runs["slow"].losses[:, 0], runs["fast"].losses[:, 0])
    np.testing.assert_array_equal(runs["again"].losses, runs["fast"].losses)
    assert len(np.unique(runs["slow"].losses[:, 0])) == 5


def test_evaluation_repeats_itself_and_depends_on_the_key(evaluation):
    for seed, same in ((0, True), (1, False)):
        other = evaluate({"slow": SLOW}, Lines(), key=key(seed), num_tasks=5, num_steps=NUM_STEPS)
        assert np.array_equal(other.runs["slow"].losses, evaluation.runs["slow"].losses) is same


def test_coordinatewise_optimizers_run_too():
    class Descent(optimizers.CoordinatewiseOptimizer):
        rate: Float[Array, ""]

        def init_coordinates(self, count):
            return jnp.zeros((0, count))

        def step(self, gradient, state, step):
            return -self.rate * gradient, state

    both = evaluate(
        {"learned": Descent(jnp.array(0.1)), "sgd": from_optax(optax.sgd(0.1))},
        BOWL,
        key=key(),
        num_tasks=3,
        num_steps=4,
    )
    np.testing.assert_allclose(both.runs["learned"].losses, both.runs["sgd"].losses, rtol=1e-4)


def test_summaries_and_comparisons(evaluation):
    runs = evaluation.runs
    assert evaluation.summary("slow", "test_loss").mean == pytest.approx(
        float(runs["slow"].held_out["test_loss"].mean())
    )
    assert evaluation.summary("slow", "objective").median == pytest.approx(
        float(np.median(runs["slow"].objective))
    )
    difference = evaluation.compare("fast", "slow", "mean_train_loss")
    assert difference.mean == pytest.approx(
        float(np.mean(runs["fast"].losses.mean(1) - runs["slow"].losses.mean(1))), rel=1e-4
    )
    accuracy = evaluation.compare("fast", "slow", "test_accuracy", larger_is_better=True)
    assert accuracy.wins == evaluation.compare("fast", "slow", "test_loss").wins


def test_unknown_names_are_refused_with_the_nearest(evaluation):
    with pytest.raises(ValueError, match="Did you mean 'slow'"):
        evaluation.summary("slo", "test_loss")
    with pytest.raises(ValueError, match="Did you mean 'test_loss'"):
        evaluation.compare("slow", "fast", "test_los")
    with pytest.raises(ValueError, match="Did you mean 'fast'"):
        evaluation.as_dict(learned=["fasd"])
    with pytest.raises(ValueError, match="Did you mean 'fast'"):
        evaluation.as_dict(hyperparameters={"fats": {}})


def test_the_report_has_the_agreed_form(evaluation):
    content = json.loads(
        evaluation.to_json(learned=["fast"], hyperparameters={"slow": {"learning_rate": 0.01}})
    )
    metrics = ["mean_train_loss", "final_train_loss", "angle", "test_accuracy", "test_loss"]
    assert list(content) == ["results", "paired"]
    assert [entry["name"] for entry in content["results"]] == ["slow", "fast", "again"]
    for entry in content["results"]:
        assert set(entry) == {"name", "hyperparameters", *metrics, "diverged"}
        assert entry["diverged"] == int(evaluation.runs[entry["name"]].diverged.sum())
        for metric in metrics:
            summary = evaluation.summary(entry["name"], metric)
            assert entry[metric] == {"mean": summary.mean, "sem": summary.sem}
    assert content["results"][0]["hyperparameters"] == {"learning_rate": 0.01}
    assert content["results"][1]["hyperparameters"] == {}
    assert [(p["learned"], p["baseline"], p["metric"]) for p in content["paired"]] == [
        ("fast", baseline, metric) for baseline in ("slow", "again") for metric in metrics
    ]
    entry = content["paired"][3]
    expected = evaluation.compare("fast", "slow", "test_accuracy", larger_is_better=True)
    assert entry["interval"] == list(expected.interval)
    assert (entry["mean"], entry["sem"]) == (expected.mean, expected.sem)
    assert (entry["wins"], entry["ties"], entry["num_tasks"]) == (expected.wins, expected.ties, 5)
    assert entry["p_value"] == expected.p_value


def test_tasks_without_held_out_data_leave_those_metrics_out():
    evaluation = evaluate({"a": SLOW}, BOWL, key=key(), num_tasks=2, num_steps=2)
    (entry,) = evaluation.as_dict()["results"]
    assert set(entry) == {
        "name",
        "hyperparameters",
        "mean_train_loss",
        "final_train_loss",
        "diverged",
    }


def test_diverged_runs_are_kept_and_told():
    evaluation = evaluate(
        {"wild": from_optax(optax.sgd(1e6)), "fast": FAST},
        BOWL,
        key=key(),
        num_tasks=3,
        num_steps=20,
    )
    assert evaluation.runs["wild"].diverged.all()
    content = json.loads(evaluation.to_json(learned=["fast"]))
    wild = content["results"][0]
    assert wild["diverged"] == 3
    assert wild["final_train_loss"] == {"mean": None, "sem": None}
    paired = content["paired"][0]
    assert paired["interval"] == [None, None]
    assert paired["wins"] == paired["num_tasks"] == 3


def test_what_counts_as_diverged():
    losses = np.array(
        [
            [1.0, 1.0, 1.0],
            [1.0, 50.0, 1.0],
            [1.0, 1.0, 9.9],
            [1.0, 1.0, 10.1],
            [1.0, np.inf, 1.0],
            [1.0, np.nan, 1.0],
            [-1.0, 0.0, 7.9],
            [-1.0, 0.0, 8.1],
        ]
    )
    runs = Runs(losses, losses.mean(axis=1), {})
    assert runs.diverged.tolist() == [False, False, False, True, True, True, False, True]


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(ValueError, match="at least one optimizer"):
        evaluate({}, Lines(), key=key(), num_tasks=1, num_steps=1)
    for wrong in ({"num_tasks": 0}, {"num_steps": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            evaluate({"a": SLOW}, Lines(), key=key(), **({"num_tasks": 1, "num_steps": 1} | wrong))


class TwoLosses(Task):
    def init(self, key):
        return jnp.zeros(2)

    def loss(self, params, batch):
        return jnp.sum(params)

    def value_and_grad(self, params, batch):
        return params, jnp.eye(2)


def test_tasks_with_several_losses_are_judged_by_all_of_them():
    """`TwoLosses` are the coordinates, of which this moves the first alone, by -1 a step."""

    class First(optimizers.LearnedOptimizer):
        def init(self, params):
            return ()

        def update(self, grads, state, params=None, *, value=None, **extra):
            return -grads[..., 0, :], state

    runs = evaluate(
        {"first": First()},
        SingleTask(TwoLosses()),
        key=key(),
        num_tasks=2,
        num_steps=1,
        objective=MeanLoss(),
    ).runs["first"]
    change = runs.losses[:, 1] - runs.losses[:, 0]
    np.testing.assert_allclose(change, [[-1.0, 0.0]] * 2, atol=1e-6)
    np.testing.assert_allclose(runs.objective, runs.losses.mean((1, 2)), rtol=1e-6)
