"""Logistic regression on real data that come with scikit-learn."""

from l2o.tasks.datasets import JudgeOn
from l2o.tasks.logistic_regression import LogisticRegression
from l2o.tasks.task import SingleTask


def breast_cancer_family(l2_penalty: float = 5e-4, *, judge_on: JudgeOn = "test") -> SingleTask:
    """Full-batch logistic regression on scikit-learn's breast-cancer data.

    All randomness is in the start.

    **Arguments:**

    - `l2_penalty`: Factor of half the squared 2-norm of the weights.
    - `judge_on`: The split for held-out metrics.

    **Raises:** `ValueError` for a negative penalty or an unknown split.

    ```pycon
    >>> task = l2o.tasks.breast_cancer_family().sample(jax.random.key(0))
    >>> jax.tree.map(jnp.shape, task.init(jax.random.key(0)))
    ((30,), ())
    ```
    """
    return SingleTask(LogisticRegression(l2_penalty=l2_penalty, judge_on=judge_on))
