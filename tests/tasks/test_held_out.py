"""What is held out of the training data is never trained on, and no test data are."""

import inspect

import jax
import numpy as np
import pytest
from equinox import filter_jit

from l2o import tasks
from l2o.tasks import (
    ConvNet,
    Convolution,
    ImageClassificationFamily,
    QuadraticFamily,
    ReparameterizedFamily,
    Task,
    TaskBatch,
    image_mlp,
    image_mlp_family,
)

NUM_TRAIN_ROWS = 40


def rows_of(dataset, inputs):
    """Which rows of the training split the inputs are; every one has to be one."""
    flat = np.asarray(dataset.split("train")[0]).reshape(NUM_TRAIN_ROWS, -1)
    matches = (np.asarray(inputs).reshape(-1, 1, flat.shape[1]) == flat).all(-1)
    assert (matches.sum(1) == 1).all()
    return set(matches.argmax(1).tolist())


def families(dataset, **options):
    """One of every kind that holds data out, with minibatches in which every row turns up."""
    options |= {"batch_size": 600}
    perceptrons = image_mlp_family(dataset, (3,), **options)
    convolutional = ConvNet((6, 6, 1), (Convolution(2, 3, 1),), 3)
    return {
        "perceptrons": perceptrons,
        "one network": ImageClassificationFamily(dataset, convolutional, **options),
        "in other units": ReparameterizedFamily(perceptrons),
    }


KINDS = ("perceptrons", "one network", "in other units")


def test_every_task_that_holds_data_out_is_looked_at_here(small_images, key):
    holding = {
        task
        for task in vars(tasks).values()
        if inspect.isclass(task)
        and issubclass(task, Task)
        and task.sample_held_out is not Task.sample_held_out
    }
    sampled = [family.sample(key) for family in families(small_images, num_held_out=3).values()]
    assert holding == {type(task) for task in sampled}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("num_train", "num_held_out"), [(None, 1), (None, 15), (12, 9), (25, 15)])
def test_held_out_and_training_rows_are_disjoint(small_images, kind, num_train, num_held_out):
    family = families(small_images, num_train=num_train, num_held_out=num_held_out)[kind]
    draw = filter_jit(lambda task, key: (task.sample(key), task.sample_held_out(key)))
    seen = set()
    for seed in range(3):
        task = family.sample(jax.random.key(seed))
        (inputs, labels), (held_out_inputs, held_out_labels) = draw(task, jax.random.key(seed))
        training, held_out = rows_of(small_images, inputs), rows_of(small_images, held_out_inputs)
        assert not training & held_out
        assert len(training) == (num_train or NUM_TRAIN_ROWS - num_held_out)
        assert len(held_out) == num_held_out
        assert rows_of(small_images, task.whole_batch()[0]) == training
        # With their labels.
        all_labels = {
            tuple(x.ravel().tolist()): y
            for x, y in zip(*map(np.asarray, small_images.split("train")), strict=True)
        }
        for x, y in zip(
            np.concatenate([inputs, held_out_inputs]),
            np.concatenate([labels, held_out_labels]),
            strict=True,
        ):
            assert all_labels[tuple(x.ravel().tolist())] == y
        seen.add(frozenset(held_out))
    # Every task has some of its own.
    assert len(seen) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_task_of_a_batch_holds_out_what_it_does_not_train_on(small_images, key, kind):
    family = families(small_images, num_held_out=10)[kind]
    batch = TaskBatch.draw(family, key, 3)
    keys = jax.random.split(key, 3)
    training = batch.over_tasks(lambda task, key: task.sample(key)[0], keys)
    held_out = batch.over_tasks(lambda task, key: task.sample_held_out(key)[0], keys)
    for mine, others in zip(training, held_out, strict=True):
        assert not rows_of(small_images, mine) & rows_of(small_images, others)


def test_tasks_that_hold_nothing_out_say_so(small_images, key):
    with pytest.raises(ValueError, match="give the family num_held_out"):
        image_mlp(small_images).sample_held_out(key)
    with pytest.raises(ValueError, match="has no held-out training data"):
        QuadraticFamily(2).sample(key).sample_held_out(key)
