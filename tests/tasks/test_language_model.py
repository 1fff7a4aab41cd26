import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equinox import filter_jit
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from l2o.tasks import (
    MLP,
    CharacterLanguageModel,
    CharacterLanguageModelFamily,
    MLPFamily,
    TaskBatch,
    character_mlp,
    character_model_family,
)
from l2o.tasks.datasets import Text


def reference(task, params, windows):
    """Probabilities of the next character, in NumPy."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    units = params["embedding"][windows[:, :-1]].reshape(len(windows), -1)
    (w1, b1), (w2, b2) = params["layers"]
    return softmax(np.tanh(units @ w1 + b1) @ w2 + b2, axis=1)


def random_models(text, **networks):
    sizes = (4 * 3, 7, len(text.vocabulary))
    several = MLPFamily(sizes, ("relu", "sigmoid", "tanh"), **networks)
    return CharacterLanguageModelFamily(text, several, context=4)


def test_parameters(small_text, key):
    task = character_mlp(small_text, (7,), context=3, embedding_size=5)
    params = filter_jit(task.init)(key)
    size = len(small_text.vocabulary)
    assert params["embedding"].shape == (size, 5)
    assert [weight.shape for weight, _ in params["layers"]] == [(15, 7), (7, size)]


def test_minibatches_are_windows_of_the_train_split(small_text, key):
    task = character_mlp(small_text, context=4, batch_size=3000)
    windows = np.asarray(filter_jit(task.sample)(key))
    assert windows.shape == (3000, 5)
    text = np.asarray(small_text.train)
    all_windows = {tuple(text[i : i + 5]) for i in range(len(text) - 4)}
    drawn = {tuple(window) for window in windows}
    # Every window turns up, the last one too, and nothing else.
    assert drawn == all_windows


def test_loss_agrees_with_scikit_learn(small_text, key):
    task = character_mlp(small_text, (7,), context=4, batch_size=50)
    params, windows = filter_jit(task.init)(key), filter_jit(task.sample)(key)
    probabilities = reference(task, params, np.asarray(windows))
    expected = log_loss(windows[:, -1], probabilities, labels=range(probabilities.shape[1]))
    assert float(filter_jit(task.loss)(params, windows)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("judge_on", ["test", "validation"])
def test_evaluation_counts_every_character_with_a_full_context(small_text, key, judge_on):
    task = character_mlp(small_text, (7,), context=4, judge_on=judge_on)
    params = filter_jit(task.init)(key)
    text = np.asarray(small_text.split(judge_on))
    windows = np.array([text[i : i + 5] for i in range(len(text) - 4)])
    assert len(windows) == len(text) - 4
    probabilities = reference(task, params, windows)
    expected = log_loss(windows[:, -1], probabilities, labels=range(probabilities.shape[1]))
    metrics = filter_jit(task.evaluate)(params)
    assert float(metrics[f"{judge_on}_loss"]) == pytest.approx(expected, rel=1e-5)
    accuracy = accuracy_score(windows[:, -1], probabilities.argmax(1))
    assert float(metrics[f"{judge_on}_accuracy"]) == pytest.approx(accuracy)


def test_a_batch_of_tasks_keeps_the_text_once(small_text, key):
    family = random_models(small_text, min_width=2)
    batch = TaskBatch.draw(family, key, 3)
    assert batch.task.text.train is small_text.train
    assert batch.task.network.activation_index.shape == (3,)


def test_a_family_is_deterministic_in_the_key(small_text, key):
    family = random_models(small_text, max_log_init_scale=1.0)
    for x, y in zip(*(jax.tree.leaves(family.sample(key)) for _ in range(2)), strict=True):
        assert jnp.array_equal(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 0}, "at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"context": 30}, r"context must be less than the length of the test split, \d+, got 30"),
    ],
)
@pytest.mark.parametrize("make", [character_mlp, character_model_family])
def test_bad_arguments(small_text, make, options, message):
    with pytest.raises(ValueError, match=message):
        make(small_text, **options)


def test_a_network_that_does_not_fit(small_text):
    size = len(small_text.vocabulary)
    with pytest.raises(ValueError, match="multiple of 8 inputs"):
        CharacterLanguageModel(small_text, MLP((15, size)))
    with pytest.raises(ValueError, match=f"{size} outputs, got 16 and 5"):
        CharacterLanguageModel(small_text, MLP((16, 5)))
    CharacterLanguageModel(small_text, MLP((16, size)))


def test_a_text_of_one_character():
    task = character_mlp(Text.from_string("dull", "a" * 200), (3,), context=2)
    params, windows = task.init(jax.random.key(0)), task.sample(jax.random.key(1))
    assert task.loss(params, windows) == 0
