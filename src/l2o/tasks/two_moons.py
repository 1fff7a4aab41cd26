"""A small network that separates two half-moons."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from l2o.support.checks import check_choice, check_number
from l2o.tasks import datasets
from l2o.tasks.datasets import Classification, JudgeOn
from l2o.tasks.metrics import binary_cross_entropy, binary_metrics
from l2o.tasks.networks import MLP, Activation, MLPFamily, Network
from l2o.tasks.task import Batch, Params, Task, TaskFamily

_NUM_POINTS = 1024
_NOISE = 0.1
_DEFAULT_NETWORK = MLP((2, 64, 64, 64, 1), "tanh")


class TwoMoons(Task):
    """Full-batch logistic loss of a network on two moons, plus a penalty on its parameters' norm.

    The penalty is `l2_penalty` times the norm of all parameters together, *not* squared, as in
    the public code of Maheswaranathan et al. (2021). Its gradient has constant length; at zero,
    where it has none, it is taken as 0. Their network's size is not known: three hidden layers of
    64 tanh units are our choice.

    **Arguments:** `dataset`, by default `datasets.two_moons()`; `network`, with one output, by
    default `MLP((2, 64, 64, 64, 1), "tanh")`; `l2_penalty`, at least 0; `judge_on`, the split
    that `evaluate` uses.

    **Raises:** `ValueError` for a negative penalty or an unknown split.

    ```pycon
    >>> task = l2o.tasks.TwoMoons(network=l2o.tasks.MLP((2, 4, 1)))
    >>> jax.tree.map(jnp.shape, task.init(jax.random.key(0)))
    (((2, 4), (4,)), ((4, 1), (1,)))
    ```
    """

    dataset: Classification
    network: Network
    l2_penalty: float = eqx.field(static=True)
    judge_on: JudgeOn = eqx.field(static=True)

    def __init__(
        self,
        dataset: Classification | None = None,
        network: Network | None = None,
        *,
        l2_penalty: float = 5e-3,
        judge_on: JudgeOn = "test",
    ) -> None:
        check_number("l2_penalty", l2_penalty, least=0)
        check_choice("judge_on", judge_on, ("test", "validation"))
        self.dataset = datasets.two_moons() if dataset is None else dataset
        self.network = _DEFAULT_NETWORK if network is None else network
        self.l2_penalty = l2_penalty
        self.judge_on = judge_on

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws the network's parameters."""
        return self.network.init(key)

    def loss(self, params: Params, batch: Batch = None) -> Float[Array, ""]:
        """The loss on the whole train split, with the penalty."""
        del batch
        logits = self.network(params, self.dataset.train_inputs)[:, 0]
        loss = binary_cross_entropy(logits, self.dataset.train_labels)
        return loss + self.l2_penalty * _norm(params)

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """Loss, without the penalty, and accuracy on the split to judge on."""
        inputs, labels = self.dataset.split(self.judge_on)
        return binary_metrics(self.judge_on, self.network(params, inputs)[:, 0], labels)


class TwoMoonsFamily(TaskFamily):
    """Two-moons tasks with a random network, random data, or both.

    **Arguments:** `dataset` and `network`, as for `TwoMoons`, or a `MLPFamily` to draw the network
    from; `random_data`, whether every task gets noise of its own on the moons instead of
    `dataset`; `l2_penalty` and `judge_on`, as for `TwoMoons`.

    **Raises:** `ValueError` for a negative penalty, an unknown split, or a `dataset` along with
    `random_data`.

    ```pycon
    >>> task = l2o.tasks.TwoMoonsFamily(network=l2o.tasks.MLP((2, 4, 1))).sample(jax.random.key(0))
    >>> task.dataset.num_classes
    2
    ```
    """

    dataset: Classification | None
    network: Network | MLPFamily | None
    l2_penalty: float = eqx.field(static=True)
    judge_on: JudgeOn = eqx.field(static=True)

    def __init__(
        self,
        dataset: Classification | None = None,
        network: Network | MLPFamily | None = None,
        *,
        random_data: bool = False,
        l2_penalty: float = 5e-3,
        judge_on: JudgeOn = "test",
    ) -> None:
        check_number("l2_penalty", l2_penalty, least=0)
        check_choice("judge_on", judge_on, ("test", "validation"))
        if random_data and dataset is not None:
            raise ValueError("Give either a dataset or random_data=True, not both.")
        if dataset is None and not random_data:
            dataset = datasets.two_moons()
        self.dataset = dataset
        self.network = network
        self.l2_penalty = l2_penalty
        self.judge_on = judge_on

    @property
    def title(self) -> str:
        """Data and network in a few words."""
        data = "two moons" if self.dataset is None else self.dataset.title
        return f"{data}, {(self.network or _DEFAULT_NETWORK).title}"

    def sample(self, key: PRNGKeyArray) -> TwoMoons:
        """Draws a task."""
        network_key, data_key = jax.random.split(key)
        network = self.network
        if isinstance(network, MLPFamily):
            network = network.sample(network_key)
        dataset = _random_moons(data_key) if self.dataset is None else self.dataset
        return TwoMoons(dataset, network, l2_penalty=self.l2_penalty, judge_on=self.judge_on)


def two_moons_family(
    hidden: tuple[int, ...] = (64, 64, 64),
    activation: Activation = "tanh",
    l2_penalty: float = 5e-3,
    random_data: bool = False,
    *,
    judge_on: JudgeOn = "test",
) -> TwoMoonsFamily:
    """Full-batch classification of two half-moons by a small network.

    **Arguments:**

    - `hidden`: Units of each hidden layer.
    - `activation`: Activation of the hidden units.
    - `l2_penalty`: Factor of the 2-norm, not squared, of the parameters.
    - `random_data`: Give every task fresh data.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for an unknown activation or split and for numbers out of range.

    ```pycon
    >>> task = l2o.tasks.two_moons_family(hidden=(4,)).sample(jax.random.key(0))
    >>> jax.tree.map(jnp.shape, task.init(jax.random.key(0)))
    (((2, 4), (4,)), ((4, 1), (1,)))
    ```
    """
    network = MLP((2, *hidden, 1), activation)
    return TwoMoonsFamily(
        network=network, random_data=random_data, l2_penalty=l2_penalty, judge_on=judge_on
    )


def _norm(params: Params) -> Float[Array, ""]:
    """The 2-norm of all parameters together, with gradient 0 where it is 0."""
    square = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
    # The root must not see the 0, or its infinite slope times 0 gives NaN.
    is_zero = square == 0
    return jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, square)))


def _random_moons(key: PRNGKeyArray) -> Classification:
    """Moons as scikit-learn's `make_moons` places them, with fresh noise in each split."""
    splits = [_moons(split_key) for split_key in jax.random.split(key, 3)]
    arrays = [array for split in splits for array in split]
    return Classification(*arrays, num_classes=2, name="random_two_moons")


def _moons(
    key: PRNGKeyArray,
) -> tuple[Float[Array, "points 2"], Int[Array, " points"]]:
    """Points evenly along two half circles, with normal noise."""
    angles = jnp.linspace(0, jnp.pi, _NUM_POINTS // 2)
    outer = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    inner = jnp.stack([1 - jnp.cos(angles), 0.5 - jnp.sin(angles)], axis=1)
    noise = _NOISE * jax.random.normal(key, (_NUM_POINTS, 2))
    labels = jnp.repeat(jnp.arange(2), _NUM_POINTS // 2)
    return jnp.concatenate([outer, inner]) + noise, labels
