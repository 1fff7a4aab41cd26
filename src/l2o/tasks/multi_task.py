"""Networks with a shared trunk and one head a target, whose losses may conflict."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.gradients import (
    Gradients,
    TrunkAndHeads,
    chunk_that_fits,
    linearized,
    stacked_at_trunk,
    trunk_split,
)
from l2o.support.checks import check_choice, check_size
from l2o.tasks.datasets import JudgeOn, MultiTaskData, only_target
from l2o.tasks.multi_objective import MultiObjectiveTask
from l2o.tasks.networks import MLP, Activation, MLPFamily, Network
from l2o.tasks.task import Batch, Params, TaskFamily

GradientForm = Literal["automatic", "stacked", "linearized", "trunk-split"]
"""How a network hands over the gradients of its losses. Automatic is stacked as long as that takes
no more than 16 MiB, and trunk-split otherwise, which is faster then."""

_MOST_STACKED = 2**24


class MultiTaskNetwork(MultiObjectiveTask):
    """One network for several targets: a trunk, a rectifier, and a head for each target.

    There is one loss a target, on random minibatches; rows without a value do not count.

    **Arguments:**

    - `data`: what to learn.
    - `trunk`: from inputs to the representation.
    - `heads`: from the representation to each target's outputs.
    - `batch_size`: rows in a minibatch, drawn independently and with replacement.
    - `judge_on`: the split that `evaluate` uses, "test" or "validation".
    - `gradient_form`: "automatic", "stacked", "linearized" or "trunk-split".

    **Raises:** `ValueError` for a batch size less than 1, an unknown split or form, or another
    number of heads than of targets.

    ```pycon
    >>> data = l2o.tasks.datasets.digit_attributes(l2o.tasks.datasets.digits())
    >>> family = l2o.tasks.multi_task_mlp_family(data, hidden=(4,))
    >>> task = family.sample(jax.random.key(0))
    >>> params = task.init(jax.random.key(1))
    >>> task.losses(params, task.sample(jax.random.key(2))).shape
    (3,)
    ```
    """

    data: MultiTaskData
    trunk: Network
    heads: tuple[Network, ...]
    batch_size: int = eqx.field(static=True, default=128)
    judge_on: JudgeOn = eqx.field(static=True, default="test")
    gradient_form: GradientForm = eqx.field(static=True, default="automatic")

    def __check_init__(self) -> None:
        _check(self)

    @property
    def title(self) -> str:
        """Data and trunk in a few words."""
        return _title(self)

    def init(self, key: PRNGKeyArray) -> TrunkAndHeads:
        """Draws the parameters of trunk and heads."""
        trunk_key, *head_keys = jax.random.split(key, 1 + len(self.heads))
        heads = tuple(head.init(key) for head, key in zip(self.heads, head_keys, strict=True))
        return TrunkAndHeads(self.trunk.init(trunk_key), heads)

    def sample(self, key: PRNGKeyArray) -> Batch:
        """Draws a minibatch: inputs, and one array of values a target."""
        batch = self.data.split("train")
        rows = jax.random.randint(key, (self.batch_size,), 0, len(batch[0]))
        return jax.tree.map(lambda array: array[rows], batch)

    def whole_batch(self) -> Batch:
        """All training data."""
        return self.data.split("train")

    def losses(self, params: TrunkAndHeads, batch: Batch) -> Float[Array, " targets"]:
        """The loss of every target."""
        inputs, values = batch
        representation = self._representation(params, inputs)
        return jnp.stack(
            [
                self._head_loss(index, head, representation, values)
                for index, head in enumerate(params.heads)
            ]
        )

    def gradients(self, params: TrunkAndHeads, batch: Batch) -> Gradients:
        """All losses and their gradients; stacked or split at the trunk, heads once."""
        inputs, values = batch
        if self.gradient_form == "linearized":
            return linearized(lambda params: self.losses(params, batch), params)

        def trunk(trunk_params: Params) -> Float[Array, "batch features"]:
            return self._representation(TrunkAndHeads(trunk_params, ()), inputs)

        def head_loss(
            index: int, head: Params, representation: Float[Array, "batch features"]
        ) -> Float[Array, ""]:
            return self._head_loss(index, head, representation, values)

        all_fit = chunk_that_fits(len(self.heads), params, _MOST_STACKED) == len(self.heads)
        if self.gradient_form == "stacked" or (self.gradient_form == "automatic" and all_fit):
            return stacked_at_trunk(trunk, head_loss, params)
        return trunk_split(trunk, head_loss, params)

    def evaluate(self, params: TrunkAndHeads) -> dict[str, Float[Array, ""]]:
        """Loss, and accuracy of classes, of every target on the whole split to judge on.

        **Returns:** `test_left_loss`, `test_left_accuracy` and so on, by the targets' names.
        """
        inputs, values = self.data.split(self.judge_on)
        representation = self._representation(params, inputs)
        found = {}
        for index, target in enumerate(self.data.targets):
            outputs = self.heads[index](params.heads[index], representation)
            known = values[index]
            metrics = {"loss": target.loss(outputs, known), **target.metrics(outputs, known)}
            for name, value in metrics.items():
                found[f"{self.judge_on}_{target.name}_{name}"] = value
        return found

    def _representation(
        self, params: TrunkAndHeads, inputs: Float[Array, " batch *shape"]
    ) -> Float[Array, "batch features"]:
        return jax.nn.relu(self.trunk(params.trunk, inputs))

    def _head_loss(
        self,
        index: int,
        head: Params,
        representation: Float[Array, "batch features"],
        values: tuple[Array, ...],
    ) -> Float[Array, ""]:
        outputs = self.heads[index](head, representation)
        return self.data.targets[index].loss(outputs, values[index])


class MultiTaskFamily(TaskFamily):
    """Multi-task networks with a random trunk; all share the data.

    **Arguments:** as for `MultiTaskNetwork`, where `trunk` may be an `MLPFamily` to draw it from.

    **Raises:** `ValueError` as `MultiTaskNetwork` does.

    ```pycon
    >>> data = l2o.tasks.datasets.digit_attributes(l2o.tasks.datasets.digits())
    >>> family = l2o.tasks.multi_task_mlp_family(data, hidden=(4,), head_hidden=())
    >>> family.title
    'digits attributes, trunk (4,)'
    ```
    """

    data: MultiTaskData
    trunk: Network | MLPFamily
    heads: tuple[Network, ...]
    batch_size: int = eqx.field(static=True, default=128)
    judge_on: JudgeOn = eqx.field(static=True, default="test")
    gradient_form: GradientForm = eqx.field(static=True, default="automatic")

    def __check_init__(self) -> None:
        _check(self)

    @property
    def title(self) -> str:
        """Data and trunk in a few words."""
        return _title(self)

    def only_target(self, name: str) -> "MultiTaskFamily":
        """The same networks with the head for one target alone.

        **Raises:** `ValueError` for a name that is none.
        """
        data = only_target(self.data, name)
        names = [target.name for target in self.data.targets]
        head = self.heads[names.index(name)]
        return replace(self, data=data, heads=(head,))

    def sample(self, key: PRNGKeyArray) -> MultiTaskNetwork:
        """Draws a task."""
        trunk = self.trunk.sample(key) if isinstance(self.trunk, MLPFamily) else self.trunk
        return MultiTaskNetwork(
            self.data, trunk, self.heads, self.batch_size, self.judge_on, self.gradient_form
        )


def multi_task_mlp_family(
    data: MultiTaskData,
    hidden: Sequence[int] = (32,),
    head_hidden: Sequence[int] = (),
    activations: Sequence[Activation] = ("relu",),
    *,
    batch_size: int = 128,
    judge_on: JudgeOn = "test",
    gradient_form: GradientForm = "automatic",
) -> MultiTaskFamily:
    """Perceptrons of the right sizes for data with several targets.

    **Arguments:** `data`; `hidden`, the units of each layer of the trunk, the last of them the
    representation; `head_hidden`, of each hidden layer of every head; `activations`, of which one
    is drawn for the trunk; `batch_size`, `judge_on` and `gradient_form`, as for `MultiTaskNetwork`.

    **Raises:** `ValueError` for an unknown activation or form, or numbers out of range.

    ```pycon
    >>> data = l2o.tasks.datasets.digit_attributes(l2o.tasks.datasets.digits())
    >>> family = l2o.tasks.multi_task_mlp_family(data, hidden=(4,))
    >>> len(family.heads)
    3
    ```
    """
    check_size("the number of layers of the trunk", len(hidden))
    trunk = MLPFamily((math.prod(data.input_shape), *hidden), tuple(activations))
    heads = tuple(MLP((hidden[-1], *head_hidden, target.num_outputs)) for target in data.targets)
    return MultiTaskFamily(data, trunk, heads, batch_size, judge_on, gradient_form)


def _title(network: MultiTaskNetwork | MultiTaskFamily) -> str:
    """A network, or its family, in a few words."""
    trunk = network.trunk
    shown = trunk.sizes[1:] if isinstance(trunk, MLP | MLPFamily) else trunk.title
    return f"{network.data.title}, trunk {shown}"


def _check(network: MultiTaskNetwork | MultiTaskFamily) -> None:
    """Checks the fields that a network and its family have in common."""
    check_size("batch_size", network.batch_size)
    check_choice("judge_on", network.judge_on, ("test", "validation"))
    check_choice("gradient_form", network.gradient_form, get_args(GradientForm))
    if len(network.heads) != len(network.data.targets):
        raise ValueError(
            f"There must be one head a target, got {len(network.heads)} heads for "
            f"{len(network.data.targets)} targets."
        )
