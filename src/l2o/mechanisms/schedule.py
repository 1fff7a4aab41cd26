"""Learning-rate schedules: how an optimizer changes by itself, whatever gradients it meets."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from l2o.mechanisms.dynamics import Dynamics
from l2o.mechanisms.precision import in_double_precision
from l2o.mechanisms.spectrum import invariant_subspaces
from l2o.support.checks import check_at_least

RELATIVE_CHANGE = 0.05
"""An effective learning rate that changes by more than this share of its largest value changes."""

RATE_FLOOR = 1e-12
"""Learning rates below this are no learning rates: whatever they do is rounding."""

# The trajectory has come to rest when it moves by less than this share of the way it has come.
_AT_REST = 1e-2


class CarryingMode(eqx.Module):
    """The eigenmode of the state along which the learning rate changes."""

    beta: complex
    """How much of the deviation is left from one step to the next."""
    time_constant: float
    """-1 / ln|beta|, in steps."""
    share: float
    """The mode's share in the modes' changes of the learning rate, in sums of squares."""


class Schedule(eqx.Module):
    """The effective learning rate along the trajectory of the state left to itself."""

    gradient: float
    """The constant gradient along the trajectory; 0 for the autonomous one."""
    effective_learning_rate: Float[np.ndarray, " steps"]
    states: Float[np.ndarray, "steps state"]
    """The state before each step."""
    present: bool
    """Whether the learning rate changes by more than `RELATIVE_CHANGE` of its largest value."""
    carrying_mode: CarryingMode | None
    """`None` without a schedule, when counters carry it, or when the state never comes to rest."""

    def draw(self, axes: Any) -> None:
        """Draws the effective learning rate against the step.

        **Arguments:** `axes`, of matplotlib.
        """
        axes.plot(self.effective_learning_rate)
        axes.set_xlabel("step")
        axes.set_ylabel("effective learning rate")


def changes(rates: Float[np.ndarray, " rates"]) -> bool:
    """Whether learning rates, those that are finite, differ by more than `RELATIVE_CHANGE`.

    Where none is above `RATE_FLOOR` they are rounding, and nothing changes.
    """
    rates = rates[np.isfinite(rates)]
    largest = np.max(np.abs(rates), initial=0.0)
    return bool(largest > RATE_FLOOR and np.ptp(rates) > RELATIVE_CHANGE * largest)


@in_double_precision
def autonomous_schedule(
    dynamics: Dynamics,
    num_steps: int,
    *,
    start: Float[ArrayLike, " state"] | None = None,
    gradient: float = 0.0,
) -> Schedule:
    """Follows the state from where it starts when no gradient is met, with counters running.

    Source: Maheswaranathan et al. 2021, the section on learning-rate schedules.

    **Arguments:**

    - `dynamics`: from `coordinate_dynamics`.
    - `num_steps`: at least 1.
    - `start`: h before the first step, by default the initial state.
    - `gradient`: for optimizers that are singular at zero gradients, such as Adam, the constant
      gradient to be met instead. The effective learning rate is then the update over the gradient,
      -u / g, rather than the slope at g = 0.

    **Returns:** the effective learning rate at each step, and the mode that carries its changes.

    **Raises:** `ValueError` if `num_steps` is less than 1.

    ```pycon
    >>> schedule = optax.linear_schedule(1.0, 0.0, 4)
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(l2o.from_optax(optax.sgd(schedule)))
    >>> l2o.mechanisms.autonomous_schedule(dynamics, 4).effective_learning_rate
    array([1.  , 0.75, 0.5 , 0.25])
    ```
    """
    check_at_least("num_steps", num_steps, 1)
    start_state = dynamics.initial_state if start is None else jnp.asarray(start, jnp.float64)
    met = jnp.asarray(gradient, jnp.float64)
    rates, states = map(np.asarray, _follow(dynamics, start_state, met, jnp.arange(num_steps)))
    present = changes(rates)
    carrying = None
    if present and gradient == 0 and not dynamics.depends_on_time and states.shape[1]:
        carrying = _carrying_mode(dynamics, states)
    return Schedule(float(gradient), rates, states, present, carrying)


@eqx.filter_jit
def _follow(
    dynamics: Dynamics, start: Array, gradient: Array, times: Array
) -> tuple[Float[Array, " steps"], Float[Array, "steps state"]]:
    def step(state: Array, time: Array) -> tuple[Array, tuple[Array, Array]]:
        update, following = dynamics(state, gradient, time)
        slope = dynamics.effective_learning_rate(state, jnp.zeros(()), time)
        rate = jnp.where(gradient == 0, slope, -update / jnp.where(gradient == 0, 1.0, gradient))
        return following, (rate, state)

    return jax.lax.scan(step, start, times)[1]


@eqx.filter_jit
def _rate_gradient_and_jacobian(dynamics: Dynamics, state: Array) -> tuple[Array, Array]:
    zero = jnp.zeros(())
    return (
        jax.grad(dynamics.effective_learning_rate)(state, zero),
        jax.jacfwd(dynamics.next_state)(state, zero),
    )


def _carrying_mode(
    dynamics: Dynamics, states: Float[np.ndarray, "steps state"]
) -> CarryingMode | None:
    """The mode at the end of the trajectory that the learning rate's change lies along."""
    end = states[-1]
    if len(states) < 2 or not np.all(np.isfinite(states)):
        return None
    way = np.linalg.norm(states - end, axis=1)
    if not way[-2] <= _AT_REST * np.max(way):
        return None
    sensitivity, jacobian = map(np.asarray, _rate_gradient_and_jacobian(dynamics, jnp.asarray(end)))
    if not (np.all(np.isfinite(sensitivity)) and np.all(np.isfinite(jacobian))):
        return None
    subspaces = invariant_subspaces(jacobian)
    shares = np.array(
        [
            np.sum(np.abs((states - end) @ subspace.dual.T @ (subspace.basis.T @ sensitivity)) ** 2)
            for subspace in subspaces
        ]
    )
    if not np.sum(shares) > 0:
        return None
    first = int(np.argmax(shares))
    beta = subspaces[first].mean
    size = abs(beta)
    time_constant = 0.0 if size == 0 else np.inf if size >= 1 else -1 / np.log(size)
    return CarryingMode(beta, float(time_constant), float(shares[first] / np.sum(shares)))
