"""Which mechanisms an optimizer has: found, not there, or not to be told."""

from dataclasses import dataclass

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.findings.adaptation import (
    AdaptationFinding as AdaptationFinding,
    find_adaptation,
)
from l2o.mechanisms.findings.clipping import ClippingFinding as ClippingFinding, find_clipping
from l2o.mechanisms.findings.momentum import MomentumFinding as MomentumFinding, find_momentum
from l2o.mechanisms.findings.presence import Presence as Presence
from l2o.mechanisms.findings.schedule import ScheduleFinding as ScheduleFinding, find_schedule
from l2o.mechanisms.findings.survey import Survey as Survey, measure
from l2o.mechanisms.precision import in_double_precision


@dataclass(frozen=True)
class Mechanisms:
    """What was found of each mechanism."""

    survey: Survey
    momentum: MomentumFinding
    clipping: ClippingFinding
    schedule: ScheduleFinding
    adaptation: AdaptationFinding

    @property
    def presence(self) -> dict[str, Presence]:
        """Whether each mechanism is there, by its name."""
        return {
            "momentum": self.momentum.presence,
            "clipping": self.clipping.presence,
            "schedule": self.schedule.presence,
            "adaptation": self.adaptation.presence,
        }


@in_double_precision
def find_mechanisms(
    dynamics: Dynamics,
    *,
    num_steps: int = 200,
    reference_gradient: float = 1.0,
    time: int | None = None,
) -> Mechanisms:
    """Decides which mechanisms an optimizer has.

    What evolves whatever the gradient (counters, a learning rate in the state) is set apart first.
    The rest is looked at with that held, at times at which the optimizer is alive, where its state
    settles under gradients of many sizes. What the analyses cannot tell, they say.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `num_steps`: how many steps of the schedule to look at one by one.
    - `reference_gradient`: the size of gradients that are met.
    - `time`: the number of steps at which to hold counters, by default where it is alive.

    **Raises:** `ValueError` if its updates are not finite from the first step on.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(optimizer)
    >>> found = l2o.mechanisms.find_mechanisms(dynamics, num_steps=5)
    >>> [name for name, presence in found.presence.items() if presence.value == "present"]
    ['momentum']
    ```
    """
    measured = measure(
        dynamics, num_steps=num_steps, reference_gradient=reference_gradient, time=time
    )
    clipping = find_clipping(measured)
    return Mechanisms(
        survey=measured,
        momentum=find_momentum(measured),
        clipping=clipping,
        schedule=find_schedule(measured),
        adaptation=find_adaptation(measured, clipping.presence),
    )
