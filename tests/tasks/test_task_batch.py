from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.tasks import (
    CharacterLanguageModelFamily,
    LeastSquaresFamily,
    LogisticRegressionFamily,
    MLPFamily,
    QuadraticFamily,
    ReparameterizedFamily,
    Rosenbrock,
    SingleTask,
    TaskBatch,
    TwoMoonsFamily,
    image_mlp_family,
)

NUM_TASKS = 3
NAMES = (
    "quadratic",
    "rosenbrock",
    "logistic_regression",
    "two_moons",
    "images",
    "language_model",
    "reparameterized",
)


@pytest.fixture(params=NAMES)
def family(request, small_images, small_text):
    several = ("relu", "sigmoid", "tanh")
    networks = {"min_width": 2, "max_log_init_scale": 1.0}
    sizes = (8, 5, len(small_text.vocabulary))
    images = partial(image_mlp_family, small_images, (5,), several)
    models = partial(CharacterLanguageModelFamily, small_text, context=4)
    return {
        "quadratic": lambda: QuadraticFamily(),
        "rosenbrock": lambda: SingleTask(Rosenbrock()),
        "logistic_regression": lambda: LogisticRegressionFamily(),
        "two_moons": lambda: TwoMoonsFamily(network=MLPFamily((2, 5, 1), ("tanh", "relu"), 2)),
        "images": lambda: images(num_train=9, **networks),
        "language_model": lambda: models(network=MLPFamily(sizes, several, **networks)),
        "reparameterized": lambda: ReparameterizedFamily(images()),
    }[request.param]()


def close(one, other):
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=1e-5)


def all_of(task, key):
    """Everything that a task gives."""
    params, minibatch = task.init(key), task.sample(key)
    loss, grads = task.value_and_grad(params, minibatch)
    return params, minibatch, loss, grads, task.evaluate(params)


@jax.jit
def all_of_a_batch(family, key):
    return all_of(TaskBatch.draw(family, key, NUM_TASKS), key)


@jax.jit
def all_of_one_task(family, key):
    return all_of(family.sample(key), key)


def test_each_task_is_the_one_drawn_alone(family, key):
    together = all_of_a_batch(family, key)
    assert together[2].shape == (NUM_TASKS,)
    for index, task_key in enumerate(jax.random.split(key, NUM_TASKS)):
        close(all_of_one_task(family, task_key), jax.tree.map(lambda x, i=index: x[i], together))


def test_one_by_one_is_all_at_once(family, key):
    batch = TaskBatch.draw(family, key, NUM_TASKS)
    params = batch.init(key)
    minibatches = batch.sample(key)

    def both(task, params, minibatch):
        return task.value_and_grad(params, minibatch)

    close(batch.one_by_one(both, params, minibatches), batch.over_tasks(both, params, minibatches))


def test_the_loss_alone(key):
    batch = TaskBatch.draw(LeastSquaresFamily(), key, NUM_TASKS)
    params = batch.init(key)
    close(batch.loss(params, None), batch.value_and_grad(params, None)[0])


def test_tasks_differ(key):
    batch = TaskBatch.draw(QuadraticFamily(), key, NUM_TASKS)
    assert len(np.unique(np.asarray(batch.task.hessian[:, 0, 0]))) == NUM_TASKS
    assert len(np.unique(np.asarray(batch.init(key)[:, 0]))) == NUM_TASKS


def test_a_single_task_is_shared_entirely(key):
    task = QuadraticFamily().sample(key)
    batch = TaskBatch.draw(SingleTask(task), key, NUM_TASKS)
    assert batch.task.hessian is task.hessian
    assert batch.axes == (None, None)
    losses = batch.loss(batch.init(key), None)
    assert losses.shape == (NUM_TASKS,)
    assert len(np.unique(losses)) == NUM_TASKS


def test_one_task(key):
    batch = TaskBatch.draw(QuadraticFamily(), key, 1)
    assert batch.loss(jnp.zeros((1, 5)), None).shape == (1,)


@pytest.mark.parametrize("num_tasks", [0, -1])
def test_no_tasks(key, num_tasks):
    with pytest.raises(ValueError, match=f"num_tasks must be at least 1, got {num_tasks}"):
        TaskBatch.draw(QuadraticFamily(), key, num_tasks)
