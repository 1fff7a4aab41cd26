"""Logistic regression: a linear classifier, convex to train."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_choice, check_number, check_size
from l2o.tasks import datasets
from l2o.tasks.datasets import Classification, JudgeOn
from l2o.tasks.metrics import binary_cross_entropy, binary_metrics
from l2o.tasks.task import Batch, Task, TaskFamily

LinearParams = tuple[Float[Array, " features"], Float[Array, ""]]
"""A weight a feature, and the bias."""


class LogisticRegression(Task):
    """Full-batch mean logistic loss of `x'w + bias`, plus l2_penalty ||w||^2 / 2.

    The bias is not penalised.

    **Arguments:** `dataset` with two classes and vectors as inputs, by default
    `datasets.breast_cancer()`; `l2_penalty`, at least 0; `judge_on`, the split that `evaluate`
    uses.

    **Raises:** `ValueError` for a negative penalty, an unknown split, or a data set with other
    than two classes or with images.

    ```pycon
    >>> task = l2o.tasks.LogisticRegression(l2o.tasks.datasets.breast_cancer())
    >>> params = task.init(jax.random.key(0))
    >>> sorted(task.evaluate(params))
    ['test_accuracy', 'test_loss']
    ```
    """

    dataset: Classification
    l2_penalty: float = eqx.field(static=True)
    judge_on: JudgeOn = eqx.field(static=True)

    def __init__(
        self,
        dataset: Classification | None = None,
        *,
        l2_penalty: float = 5e-4,
        judge_on: JudgeOn = "test",
    ) -> None:
        check_number("l2_penalty", l2_penalty, least=0)
        check_choice("judge_on", judge_on, ("test", "validation"))
        self.dataset = datasets.breast_cancer() if dataset is None else dataset
        if self.dataset.num_classes != 2 or len(self.dataset.input_shape) != 1:
            raise ValueError(
                "Logistic regression takes two classes and vectors as inputs; "
                f"{self.dataset.name!r} has {self.dataset.num_classes} classes and inputs of "
                f"shape {self.dataset.input_shape}."
            )
        self.l2_penalty = l2_penalty
        self.judge_on = judge_on

    @property
    def title(self) -> str:
        """The task in a few words."""
        return f"logistic regression on {self.dataset.title}"

    def init(self, key: PRNGKeyArray) -> LinearParams:
        """Draws weights with variance 1 / features, and a bias of zero."""
        (features,) = self.dataset.input_shape
        return jax.random.normal(key, (features,)) / jnp.sqrt(features), jnp.zeros(())

    def loss(self, params: LinearParams, batch: Batch = None) -> Float[Array, ""]:
        """The loss on the whole train split, with the penalty."""
        del batch
        weight, bias = params
        logits = self.dataset.train_inputs @ weight + bias
        loss = binary_cross_entropy(logits, self.dataset.train_labels)
        return loss + self.l2_penalty * jnp.sum(weight**2) / 2

    def evaluate(self, params: LinearParams) -> dict[str, Float[Array, ""]]:
        """Loss, without the penalty, and accuracy on the split to judge on."""
        weight, bias = params
        inputs, labels = self.dataset.split(self.judge_on)
        return binary_metrics(self.judge_on, inputs @ weight + bias, labels)


class LogisticRegressionFamily(TaskFamily):
    """Full-batch logistic regression between two random Gaussian clouds.

    Half of the points come from each. Means are standard normal; a covariance is MM' with a matrix
    M of normal entries of variance 1 / dimension. The kind of problem, and the defaults, follow Li
    and Malik, "Learning to optimize" (2017), who do not say how they draw means and covariances:
    that is ours.

    **Arguments:**

    - `num_points`: Points in each split.
    - `dimension`: Numbers that describe a point.
    - `l2_penalty`: Factor of half the squared 2-norm of the weights.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for numbers out of range or an unknown split.

    ```pycon
    >>> task = l2o.tasks.LogisticRegressionFamily(dimension=3).sample(jax.random.key(0))
    >>> sorted(task.evaluate(task.init(jax.random.key(1))))
    ['test_accuracy', 'test_loss']
    ```
    """

    num_points: int = eqx.field(static=True, default=100)
    dimension: int = eqx.field(static=True, default=3)
    l2_penalty: float = eqx.field(static=True, default=5e-4)
    judge_on: JudgeOn = eqx.field(static=True, default="test")

    def __check_init__(self) -> None:
        check_size("num_points", self.num_points, least=2)
        check_size("dimension", self.dimension)
        check_number("l2_penalty", self.l2_penalty, least=0)
        check_choice("judge_on", self.judge_on, ("test", "validation"))

    @property
    def title(self) -> str:
        """The family in a few words."""
        return f"{self.dimension}-dimensional logistic regression"

    def sample(self, key: PRNGKeyArray) -> LogisticRegression:
        """Draws two clouds, and the points of all three splits from them."""
        mean_key, root_key, *point_keys = jax.random.split(key, 5)
        means = jax.random.normal(mean_key, (2, self.dimension))
        roots = jax.random.normal(root_key, (2, self.dimension, self.dimension))
        roots = roots / jnp.sqrt(self.dimension)

        def draw(key: PRNGKeyArray) -> tuple[Array, Array]:
            labels = jnp.arange(self.num_points) % 2
            noise = jax.random.normal(key, (self.num_points, self.dimension))
            return means[labels] + jnp.einsum("nij,nj->ni", roots[labels], noise), labels

        arrays = [array for point_key in point_keys for array in draw(point_key)]
        dataset = Classification(*arrays, num_classes=2, name="two_gaussians")
        return LogisticRegression(dataset, l2_penalty=self.l2_penalty, judge_on=self.judge_on)
