import jax
import jax.numpy as jnp
import pytest

from l2o.tasks import Rosenbrock, SingleTask, Task, TaskFamily


def test_a_task_must_say_how_it_starts_and_what_it_loses():
    with pytest.raises(TypeError):
        Task()  # pyright: ignore[reportAbstractUsage]
    with pytest.raises(TypeError):
        TaskFamily()  # pyright: ignore[reportAbstractUsage]


def test_defaults(key):
    task = Rosenbrock()
    assert task.sample(key) is None
    assert task.evaluate(jnp.ones(2)) == {}
    value, grad = task.value_and_grad(jnp.array([0.0, 1.0]), None)
    assert value == task.loss(jnp.array([0.0, 1.0]))
    assert jnp.array_equal(grad, jax.grad(task.loss)(jnp.array([0.0, 1.0])))


def test_a_single_task_is_itself_whatever_the_key(key):
    task = Rosenbrock(3)
    assert SingleTask(task).sample(key) is task
    assert SingleTask(task).sample(jax.random.key(1)) is task
