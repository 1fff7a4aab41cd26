"""The loss on examples that the optimizee is not trained on, as a term of the meta-loss."""

from jaxtyping import Array, Float, PRNGKeyArray

from l2o.metatraining.regularizers.regularizer import Regularizer
from l2o.metatraining.regularizers.step_loss import SampledLoss
from l2o.tasks import Params


class HeldOutLoss(Regularizer):
    """The loss on a minibatch of the held-out part of the training data.

    With an `objective_weight` of zero it is the whole meta-loss, a validation meta-loss: what the
    optimizee is judged by is what the optimizer is trained for. The optimizer
    itself sees training gradients only, and test data stay untouched. The tasks must have held-out
    examples (`num_held_out` of image families).

    **Arguments:** as for `Regularizer`.

    ```pycon
    >>> float(l2o.metatraining.HeldOutLoss(0.5).weight)
    0.5
    ```
    """

    def find(self, loss: SampledLoss, params: Params, key: PRNGKeyArray) -> SampledLoss:
        """The loss on held-out examples."""
        del params
        return loss.held_out(key)

    def value(self, loss: SampledLoss, params: Params, found: SampledLoss) -> Float[Array, ""]:
        """Its value."""
        del loss
        return found(params)
