"""Three targets of very different scales, to be told from one image."""

from typing import Literal

from l2o.tasks.datasets import Classification, JudgeOn, digit_attributes, read_images
from l2o.tasks.multi_task import GradientForm, MultiTaskFamily, multi_task_mlp_family
from l2o.tasks.networks import Activation


def attributes_family(
    dataset: Literal["digits", "mnist"] | Classification = "digits",
    pooling: int = 1,
    hidden: tuple[int, ...] = (32,),
    head_hidden: tuple[int, ...] = (),
    activations: tuple[Activation, ...] = ("relu",),
    batch_size: int = 64,
    missing: float = 0.75,
    gradient_form: GradientForm = "automatic",
    *,
    judge_on: JudgeOn = "test",
) -> MultiTaskFamily:
    """A digit, its ink in units of hundreds, and whether it is even, which few labels tell.

    **Arguments:**

    - `dataset`: Images that the tasks are made of: digits (8 x 8, bundled), or mnist from the
      folder L2O_DATA.
    - `pooling`: Averages squares of so many pixels: 2 makes MNIST 14 x 14.
    - `hidden`: Units of each layer of the trunk.
    - `head_hidden`: Units of each hidden layer of every head.
    - `activations`: Activations of the trunk's hidden units; each task draws one.
    - `batch_size`: Rows in a minibatch.
    - `missing`: Share of training rows without the last label.
    - `gradient_form`: How gradients are handed over: stacked takes a gradient's memory for each
      loss, linearized and trunk-split that of one; automatic is stacked up to 16 MiB.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for an unknown name and numbers out of range; `DataError` if the images
    are missing.

    ```pycon
    >>> family = l2o.tasks.attributes_family("digits", hidden=(4,))
    >>> l2o.tasks.count_objectives(family)
    3
    ```
    """
    data = digit_attributes(read_images(dataset, pooling=pooling), missing=missing)
    return multi_task_mlp_family(
        data,
        hidden,
        head_hidden,
        activations,
        batch_size=batch_size,
        judge_on=judge_on,
        gradient_form=gradient_form,
    )
