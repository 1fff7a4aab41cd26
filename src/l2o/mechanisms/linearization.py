"""An optimizer near one of its states: a linear system."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Complex, Float

from l2o.mechanisms.dynamics import Dynamics, limit_in
from l2o.mechanisms.precision import in_double_precision


class Linearization(eqx.Module):
    """F(h, g) and u(h, g) to first order in h and g around a state and a gradient."""

    state: Float[np.ndarray, " state"]
    gradient: float
    time: int
    update: float
    """u at the state and gradient."""
    residual: float
    """The sum of squares of F(h) - h: zero at a fixed point."""
    state_jacobian: Float[np.ndarray, "state state"]
    """J = dF/dh."""
    gradient_jacobian: Float[np.ndarray, " state"]
    """B = dF/dg."""
    readout: Float[np.ndarray, " state"]
    """c = du/dh."""
    feedthrough: float
    """d = du/dg."""

    @property
    def effective_learning_rate(self) -> float:
        """Minus the slope of the update function: -d."""
        return -self.feedthrough

    @property
    def eigenvalues(self) -> Complex[np.ndarray, " state"]:
        """Those of J, the largest first."""
        values = np.linalg.eigvals(self.state_jacobian).astype(complex)
        return values[np.argsort(-np.abs(values), kind="stable")]

    def impulse_response(self, num_steps: int) -> Float[np.ndarray, " {num_steps}"]:
        """How updates answer to a gradient that is larger by 1 for one step: d, cB, cJB, cJJB, ...

        **Arguments:** `num_steps`, counting from the step of the gradient itself.
        """
        response = np.empty(num_steps)
        moved = self.gradient_jacobian
        for step in range(num_steps):
            if step == 0:
                response[step] = self.feedthrough
            else:
                response[step] = self.readout @ moved
                moved = self.state_jacobian @ moved
        return response

    def draw(self, axes: Any) -> None:
        """Draws the eigenvalues of J in the complex plane, with the unit circle.

        **Arguments:** `axes`, of matplotlib.
        """
        angles = np.linspace(0, 2 * np.pi, 361)
        axes.plot(np.cos(angles), np.sin(angles), color="#999999", linewidth=1)
        values = self.eigenvalues
        axes.plot(np.real(values), np.imag(values), "o", markersize=4)
        axes.set_aspect("equal")
        axes.set_xlabel("real part")
        axes.set_ylabel("imaginary part")


@in_double_precision
def linearize(
    dynamics: Dynamics, state: Float[ArrayLike, " state"], gradient: float = 0.0, *, time: int = 0
) -> Linearization:
    """Differentiates the dynamics at a state, as a rule a fixed point.

    Source: Maheswaranathan et al. 2021, the section on momentum.

    **Arguments:** `dynamics`, from `coordinate_dynamics`; `state`, h; `gradient`, g; `time`, the
    number of steps that came before, for optimizers that count them.

    **Returns:** all first derivatives of F and u. Those that do not exist are not finite.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(optimizer)
    >>> l2o.mechanisms.linearize(dynamics, np.zeros(1)).eigenvalues
    array([0.5+0.j])
    ```
    """
    at = (jnp.asarray(state, jnp.float64), jnp.asarray(gradient, jnp.float64), jnp.asarray(time))
    (update, residual), jacobians = _differentiate(dynamics, *at)
    readout, feedthrough, state_jacobian, gradient_jacobian = map(np.asarray, jacobians)
    return Linearization(
        state=np.asarray(state, np.float64),
        gradient=float(gradient),
        time=time,
        update=float(update),
        residual=float(residual),
        state_jacobian=state_jacobian,
        gradient_jacobian=gradient_jacobian,
        readout=readout,
        feedthrough=float(feedthrough),
    )


@eqx.filter_jit
def _differentiate(
    dynamics: Dynamics, state: Array, gradient: Array, time: Array
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    def jacobians(gradient: Array) -> tuple[Array, ...]:
        derivative = jax.jacfwd(dynamics, argnums=(0, 1))
        (readout, feedthrough), (state_jacobian, gradient_jacobian) = derivative(
            state, gradient, time
        )
        return readout, feedthrough, state_jacobian, gradient_jacobian

    update, following = dynamics(state, gradient, time)
    residual = jnp.sum((following - state) ** 2)
    return (update, residual), limit_in(jacobians, gradient)
