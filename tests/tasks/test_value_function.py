import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.tasks import TaskBatch, ValueFunction, image_mlp_family


def test_each_task_of_a_batch_has_its_own(small_images, key):
    # The images are shared by all tasks, the minibatches are not.
    tasks = TaskBatch.draw(image_mlp_family(small_images, (3,), batch_size=5), key, 2)
    assert None in tasks.axes
    value_fn = ValueFunction(tasks, tasks.sample(key))
    params = tasks.init(key)
    own = value_fn.over_tasks(lambda value_fn, params: value_fn(params), params)
    np.testing.assert_allclose(own, value_fn(params), rtol=1e-6)
    assert own.shape == (2,)
    swapped = jax.tree.map(lambda leaf: leaf[::-1], params)
    assert np.all(np.abs(value_fn(swapped) - own[::-1]) > 1e-4)


def test_one_task_has_no_tasks(small_images, key):
    family = image_mlp_family(small_images, (3,))
    value_fn = ValueFunction(family.sample(key), None)
    with pytest.raises(TypeError, match="Only a TaskBatch has several tasks, got Image"):
        value_fn.over_tasks(lambda value_fn, x: x, jnp.zeros(2))
