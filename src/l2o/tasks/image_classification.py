"""Classification of images, or anything else with labels, by minibatches."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.support.checks import check_choice, check_number, check_size
from l2o.tasks.datasets import Classification, ImageSet, JudgeOn, Split, read_images
from l2o.tasks.metrics import classification_metrics, cross_entropy, smoothed_cross_entropy
from l2o.tasks.networks import MLP, Activation, MLPFamily, Network
from l2o.tasks.task import Params, Task, TaskFamily

LabelledBatch = tuple[Float[Array, " batch *shape"], Int[Array, " batch"]]
"""Inputs and labels of a minibatch."""


class ImageClassification(Task):
    """Softmax cross-entropy of a network on random minibatches of a data set.

    **Arguments:**

    - `dataset`: what to learn.
    - `network`: from inputs to one logit a class.
    - `batch_size`: rows in a minibatch, drawn independently and with replacement.
    - `split`: what minibatches are drawn from. Anything but "train" is there to reproduce
      published experiments that trained on test data.
    - `judge_on`: the split that `evaluate` uses: "test", or "validation" for choices that must
      not see test data, such as those of meta-training.
    - `train_rows`: if given, minibatches are drawn from these rows of the split alone.
    - `held_out_rows`: the rows of the split for `sample_held_out`, if there are to be any.
    - `weight_decay`: if given, the training loss has this times half the squared 2-norm of all
      parameters added to it.
    - `label_smoothing`: if given, this share of each label is spread evenly over all classes in
      the training loss.

    **Raises:** `ValueError` for a batch size less than 1 or an unknown split.

    ```pycon
    >>> network = l2o.tasks.MLP((64, 20, 10))
    >>> task = l2o.tasks.ImageClassification(l2o.tasks.datasets.digits(), network, batch_size=16)
    >>> images, labels = task.sample(jax.random.key(0))
    >>> images.shape, labels.shape
    ((16, 8, 8, 1), (16,))
    ```
    """

    dataset: Classification
    network: Network
    batch_size: int = eqx.field(static=True, default=128)
    split: Split = eqx.field(static=True, default="train")
    judge_on: JudgeOn = eqx.field(static=True, default="test")
    train_rows: Int[Array, " rows"] | None = None
    held_out_rows: Int[Array, " held_out"] | None = None
    weight_decay: Float[Array, ""] | None = None
    label_smoothing: Float[Array, ""] | None = None

    def __check_init__(self) -> None:
        check_size("batch_size", self.batch_size)
        check_choice("split", self.split, ("train", "validation", "test"))
        check_choice("judge_on", self.judge_on, ("test", "validation"))

    @property
    def title(self) -> str:
        """Data and network in a few words."""
        return f"{self.dataset.title}, {self.network.title}"

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws the network's parameters."""
        return self.network.init(key)

    def sample(self, key: PRNGKeyArray) -> LabelledBatch:
        """Draws a minibatch."""
        return self._draw(key, self.train_rows)

    def sample_held_out(self, key: PRNGKeyArray) -> LabelledBatch:
        """Draws a minibatch of the held-out rows.

        **Raises:** `ValueError` if there are none.
        """
        if self.held_out_rows is None:
            raise ValueError("No training data are held out; give the family num_held_out.")
        return self._draw(key, self.held_out_rows)

    def whole_batch(self) -> LabelledBatch:
        """All rows that minibatches are drawn from."""
        inputs, labels = self.dataset.split(self.split)
        if self.train_rows is not None:
            return inputs[self.train_rows], labels[self.train_rows]
        return inputs, labels

    def _draw(self, key: PRNGKeyArray, among: Int[Array, " rows"] | None) -> LabelledBatch:
        """Draws a minibatch among some rows of the split, or all."""
        inputs, labels = self.dataset.split(self.split)
        num_rows = len(labels) if among is None else len(among)
        rows = jax.random.randint(key, (self.batch_size,), 0, num_rows)
        if among is not None:
            rows = among[rows]
        return inputs[rows], labels[rows]

    def loss(self, params: Params, batch: LabelledBatch) -> Float[Array, ""]:
        """The training loss on a minibatch: the mean cross-entropy, in nats, and weight decay."""
        inputs, labels = batch
        logits = self.network(params, inputs)
        if self.label_smoothing is None:
            loss = cross_entropy(logits, labels)
        else:
            loss = smoothed_cross_entropy(logits, labels, self.label_smoothing)
        if self.weight_decay is None:
            return loss
        squares = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)]
        return loss + self.weight_decay / 2 * jnp.sum(jnp.stack(squares))

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """Cross-entropy, in nats, and accuracy on the whole split to judge on.

        **Returns:** `test_loss` and `test_accuracy`, or the same with `validation`.
        """
        inputs, labels = self.dataset.split(self.judge_on)
        return classification_metrics(
            self.judge_on, lambda x: self.network(params, x), inputs, labels
        )


def _weight_decay(value: Float[ArrayLike, ""] | None) -> Float[Array, ""] | None:
    """A number as an array, so that no program is compiled anew for it."""
    if value is None or isinstance(value, jax.Array):
        return value
    check_number("weight_decay", value, least=0)
    return jnp.asarray(value)


def _label_smoothing(value: Float[ArrayLike, ""] | None) -> Float[Array, ""] | None:
    """The same."""
    if value is None or isinstance(value, jax.Array):
        return value
    check_number("label_smoothing", value, least=0, below=1)
    return jnp.asarray(value)


class ImageClassificationFamily(TaskFamily):
    """Image classification with a random network, on all of the data or a random part of it.

    The data set is shared by all tasks: a `TaskBatch` keeps it once.

    **Arguments:** as for `ImageClassification`, and

    - `network`: a network, or a `MLPFamily` to draw it from.
    - `num_train`: if given, every task has this many random rows of the split, drawn without
      replacement, to train on.
    - `num_held_out`: if given, every task has this many random rows of the split, none of them to
      train on, for meta-losses on unseen examples. Without `num_train` it trains on all others.
    - `weight_decay`, from 0 on; `label_smoothing`, from 0 on and below 1.

    **Raises:** `ValueError` for numbers out of range or an unknown split.

    ```pycon
    >>> family = l2o.tasks.ImageClassificationFamily(
    ...     l2o.tasks.datasets.digits(), l2o.tasks.MLPFamily((64, 20, 10)), num_train=100
    ... )
    >>> family.sample(jax.random.key(0)).train_rows.shape
    (100,)
    ```
    """

    dataset: Classification
    network: Network | MLPFamily
    num_train: int | None = eqx.field(static=True, default=None)
    num_held_out: int | None = eqx.field(static=True, default=None)
    batch_size: int = eqx.field(static=True, default=128)
    split: Split = eqx.field(static=True, default="train")
    judge_on: JudgeOn = eqx.field(static=True, default="test")
    weight_decay: Float[Array, ""] | None = eqx.field(default=None, converter=_weight_decay)
    label_smoothing: Float[Array, ""] | None = eqx.field(default=None, converter=_label_smoothing)

    def __check_init__(self) -> None:
        check_size("batch_size", self.batch_size)
        check_choice("split", self.split, ("train", "validation", "test"))
        check_choice("judge_on", self.judge_on, ("test", "validation"))
        for name in ("num_train", "num_held_out"):
            if getattr(self, name) is not None:
                check_size(name, getattr(self, name))
        needed = (self.num_train or 1) + (self.num_held_out or 0)
        rows = len(self.dataset.split(self.split)[1])
        if needed > rows:
            raise ValueError(
                f"num_train and num_held_out ask for {needed} of the {rows} rows of "
                f"{self.dataset.name!r}."
            )

    @property
    def title(self) -> str:
        """Data and networks in a few words."""
        return f"{self.dataset.title}, {self.network.title}"

    def sample(self, key: PRNGKeyArray) -> ImageClassification:
        """Draws a task."""
        network_key, row_key = jax.random.split(key)
        network = self.network
        if isinstance(network, MLPFamily):
            network = network.sample(network_key)
        train_rows = held_out_rows = None
        if self.num_train is not None or self.num_held_out is not None:
            held_out = self.num_held_out or 0
            num_rows = len(self.dataset.split(self.split)[1])
            num_train = num_rows - held_out if self.num_train is None else self.num_train
            rows = jax.random.choice(row_key, num_rows, (num_train + held_out,), replace=False)
            train_rows = rows[:num_train]
            held_out_rows = rows[num_train:] if held_out else None
        return ImageClassification(
            self.dataset,
            network,
            self.batch_size,
            self.split,
            self.judge_on,
            train_rows,
            held_out_rows,
            self.weight_decay,
            self.label_smoothing,
        )


def image_mlp(
    dataset: Classification,
    hidden: Sequence[int] = (20,),
    activation: Activation = "relu",
    *,
    init_std: float | None = None,
    **options: Any,
) -> ImageClassification:
    """Classification by a multilayer perceptron of the right size for a data set.

    The optimizees of Open-L2O, for which learned optimizers are usually trained, are
    `image_mlp(mnist(), (20,), "sigmoid", init_std=0.01)`, the same with "relu", and a deeper one
    with `hidden=(20, 20)`.

    **Arguments:** `dataset`; `hidden`, the units of each hidden layer; `activation` and
    `init_std`, as for `MLP`; further `options`, as for `ImageClassification`.

    **Raises:** `ValueError` for an unknown activation or numbers out of range.

    ```pycon
    >>> task = l2o.tasks.image_mlp(l2o.tasks.datasets.digits(), hidden=(20,))
    >>> jax.tree.map(jnp.shape, task.init(jax.random.key(0)))
    (((64, 20), (20,)), ((20, 10), (10,)))
    ```
    """
    network = MLP(_sizes(dataset, hidden), activation, init_std)
    return ImageClassification(dataset, network, **options)


def image_mlp_family(
    dataset: ImageSet | Classification = "digits",
    hidden: tuple[int, ...] = (20,),
    activations: tuple[Activation, ...] = ("relu",),
    *,
    batch_size: int = 128,
    init_std: float | None = None,
    min_width: int | None = None,
    max_log_init_scale: float = 0.0,
    num_train: int | None = None,
    num_held_out: int | None = None,
    weight_decay: float | None = 0.0,
    label_smoothing: float | None = 0.0,
    judge_on: JudgeOn = "test",
) -> ImageClassificationFamily:
    """Classification of images by multilayer perceptrons, on minibatches.

    **Arguments:**

    - `dataset`: Images: digits (8 x 8, bundled); mnist, mnist-14x14 or cifar10 from the folder
      L2O_DATA.
    - `hidden`: Units of each hidden layer; with a least width, the most that there can be.
    - `activations`: Activation of the hidden units; one of them is drawn for each task.
    - `batch_size`: Images in a minibatch.
    - `init_std`: Standard deviation of all initial parameters; by default it depends on layer
      sizes.
    - `min_width`: Draw each hidden layer's units from here on; by default all layers are full.
    - `max_log_init_scale`: Scales all initial parameters of a task by exp(U(-r, r)) with this r.
    - `num_train`: Give every task this many random training images; by default all.
    - `num_held_out`: Hold this many random training images of every task out, for meta-losses on
      unseen examples.
    - `weight_decay`: Factor of half the squared 2-norm of the parameters in the training loss.
    - `label_smoothing`: Share of each label that is spread over all classes in the training loss.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for an unknown name and numbers out of range; `DataError` if the images
    are missing.

    ```pycon
    >>> task = l2o.tasks.image_mlp_family("digits", hidden=(20,)).sample(jax.random.key(0))
    >>> sorted(task.evaluate(task.init(jax.random.key(1))))
    ['test_accuracy', 'test_loss']
    ```
    """
    images = read_images(dataset)
    sizes = _sizes(images, hidden)
    networks = MLPFamily(sizes, tuple(activations), min_width, max_log_init_scale, init_std)
    return ImageClassificationFamily(
        images,
        networks,
        num_train,
        num_held_out,
        batch_size,
        judge_on=judge_on,
        weight_decay=none_if_zero(weight_decay),
        label_smoothing=none_if_zero(label_smoothing),
    )


def none_if_zero(strength: float | None) -> float | None:
    """Leaves what has no strength out of a loss, rather than to compute it for nothing."""
    return None if type(strength) in (int, float) and strength == 0 else strength


def _sizes(dataset: Classification, hidden: Sequence[int]) -> tuple[int, ...]:
    """The sizes of all layers of a perceptron for a data set."""
    return (math.prod(dataset.input_shape), *hidden, dataset.num_classes)
