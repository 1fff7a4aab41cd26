"""Momentum: the linear response of an optimizer as a sum of modes."""

import math
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Complex

from l2o.mechanisms.linearization import Linearization
from l2o.mechanisms.spectrum import PERTURBATION, InvariantSubspace, invariant_subspaces

# Modes with a smaller share of the response than this are rounding.
_NEGLIGIBLE = 1e-9


class Mode(eqx.Module):
    """One momentum: x += -alpha (g_k + beta g_(k-1) + beta^2 g_(k-2) + ...)."""

    beta: complex
    """How much of it is left from one step to the next; the mean of a cluster's eigenvalues."""
    alpha: complex
    """Its learning rate; a cluster's is the sum over its eigenvalues."""
    time_constant: float
    """-1 / ln|beta|, in steps; 0 without memory, infinite where it does not decay."""
    num_eigenvalues: int
    """More than one where they are too ill-conditioned to be told apart."""
    condition: float
    """By how much errors of the Jacobian are magnified in it; at least 1."""
    block: Complex[np.ndarray, "size size"]
    """The Jacobian within the mode: [[beta]] for a single eigenvalue."""
    row: Complex[np.ndarray, " size"]
    column: Complex[np.ndarray, " size"]
    """A gradient of 1, n >= 1 steps ago, moves the parameter by row @ block^(n-1) @ column."""

    @property
    def remembers(self) -> bool:
        """Whether it is a momentum, rather than what answers to the present gradient alone."""
        return self.beta != 0

    def impulse_response(self, num_steps: int) -> Complex[np.ndarray, " {num_steps}"]:
        """The mode's part of `Linearization.impulse_response`.

        For a single eigenvalue it is -alpha beta^n. For a cluster it is exact too, which alpha and
        beta alone cannot be.
        """
        response = np.empty(num_steps, complex)
        response[:1] = -self.alpha
        moved = self.column
        for step in range(1, num_steps):
            response[step] = self.row @ moved
            moved = self.block @ moved
        return response


class Momentum(NamedTuple):
    """The heavy ball's two hyperparameters: v = beta v + g, x -= alpha v.

    ```pycon
    >>> heavy_ball = l2o.mechanisms.Momentum(beta=0.9, alpha=0.1)
    >>> heavy_ball.beta
    0.9
    ```
    """

    beta: float
    alpha: float


def momentum_modes(linearization: Linearization) -> tuple[Mode, ...]:
    """Writes an optimizer's linear response as a sum of momenta.

    Around a fixed point an update answers to past gradients as d g_k + sum_n c J^(n-1) B g_(k-n).
    An eigenvalue lambda of J with right and left eigenvectors r and l contributes a momentum with
    beta = lambda and alpha = -(c r)(l B) / lambda; what is left of -d answers to the present
    gradient alone and is a mode with beta = 0. So all alphas together are the effective learning
    rate. Source: Maheswaranathan et al. 2021, the section on momentum, whose formula this is for a
    recurrent network with a linear read-out of its new state.

    **Arguments:** `linearization`, at a fixed point.

    **Returns:** the modes, the largest |alpha| first. Eigenvalues that are too ill-conditioned to
    be told apart are one mode (`invariant_subspaces`); complex pairs are two. Modes that do not
    answer to gradients at all are left out.

    **Raises:** `ValueError` if a derivative is not finite.

    ```pycon
    >>> optimizer = l2o.from_optax(optax.sgd(0.25, momentum=0.5))
    >>> dynamics = l2o.mechanisms.coordinate_dynamics(optimizer)
    >>> (mode,) = l2o.mechanisms.momentum_modes(l2o.mechanisms.linearize(dynamics, np.zeros(1)))
    >>> mode.beta.real, mode.alpha.real
    (0.5, 0.25)
    ```
    """
    parts = (
        linearization.state_jacobian,
        linearization.gradient_jacobian,
        linearization.readout,
        linearization.feedthrough,
    )
    if not all(np.all(np.isfinite(part)) for part in parts):
        raise ValueError(
            "The optimizer has no finite derivatives at this state and gradient, so it has no "
            "linear response there; linearize it at the fixed point of a gradient that is not zero."
        )
    memoryless, modes = [], []
    for subspace in invariant_subspaces(linearization.state_jacobian):
        sizes = np.abs(subspace.eigenvalues)
        rounding = PERTURBATION * subspace.norm * subspace.condition
        mode = None
        if np.min(sizes) > rounding:
            mode = _mode(linearization, subspace)
        elif np.max(sizes) > rounding:
            mode = _mean_mode(linearization, subspace)
        if mode is None:
            memoryless.append(subspace)
        else:
            modes.append(mode)
    left = linearization.effective_learning_rate - sum(mode.alpha for mode in modes)
    modes.append(_memoryless_mode(linearization, memoryless, complex(left)))
    scale = max(abs(linearization.effective_learning_rate), *(_size(mode) for mode in modes))
    modes = [mode for mode in modes if _size(mode) > _NEGLIGIBLE * scale]
    return tuple(sorted(modes, key=lambda mode: (-round(abs(mode.alpha), 12), -mode.beta.imag)))


def _mode(linearization: Linearization, subspace: InvariantSubspace) -> Mode:
    row = linearization.readout @ subspace.basis
    column = subspace.dual @ linearization.gradient_jacobian
    alpha = -row @ np.linalg.solve(subspace.block, column)
    return _real_where_it_is(
        subspace.mean, complex(alpha), subspace.condition, subspace.block, row, column
    )


def _mean_mode(linearization: Linearization, subspace: InvariantSubspace) -> Mode | None:
    """A cluster of eigenvalues of which some are zero, by the sum and the mean delay of its answer.

    Of a single momentum that is its beta and its alpha. `None` where its answer is no decay.
    """
    row = linearization.readout @ subspace.basis
    column = subspace.dual @ linearization.gradient_jacobian
    beyond = np.eye(len(subspace.block)) - subspace.block
    try:
        once = np.linalg.solve(beyond, column)
        twice = np.linalg.solve(beyond, once)
    except np.linalg.LinAlgError:
        return None
    total, delayed = complex(row @ once), complex(row @ twice)
    if total == 0 or not (delayed / total).real > 1:
        return None
    beta = complex(1 - 1 / (delayed / total).real)
    alpha = -total * (1 - beta) / beta
    return _real_where_it_is(beta, alpha, subspace.condition, subspace.block, row, column)


def _memoryless_mode(
    linearization: Linearization, subspaces: list[InvariantSubspace], alpha: complex
) -> Mode:
    """What answers to the present gradient, and to the last few where eigenvalues are zero."""
    sizes = [subspace.eigenvalues.size for subspace in subspaces]
    block = np.zeros((sum(sizes), sum(sizes)), complex)
    start = 0
    for subspace, size in zip(subspaces, sizes, strict=True):
        block[start : start + size, start : start + size] = subspace.block
        start += size
    none = np.zeros(0, complex)
    row = np.concatenate([none, *(linearization.readout @ s.basis for s in subspaces)])
    column = np.concatenate([none, *(s.dual @ linearization.gradient_jacobian for s in subspaces)])
    condition = max([1.0, *(subspace.condition for subspace in subspaces)])
    return _real_where_it_is(0j, alpha, condition, block, row, column)


def _real_where_it_is(
    beta: complex,
    alpha: complex,
    condition: float,
    block: Complex[np.ndarray, "size size"],
    row: Complex[np.ndarray, " size"],
    column: Complex[np.ndarray, " size"],
) -> Mode:
    """A mode whose imaginary parts, where they are rounding, are zero."""
    if abs(beta.imag) <= 1e-10 * abs(beta):
        beta, alpha = complex(beta.real), complex(alpha.real)
    size = abs(beta)
    time_constant = 0.0 if size == 0 else math.inf if size >= 1 else -1 / math.log(size)
    return Mode(beta, alpha, time_constant, len(block), condition, block, row, column)


def _size(mode: Mode) -> float:
    """How much of the response is the mode's."""
    return max(abs(mode.alpha), float(np.abs(mode.impulse_response(2)[1])))


def polyak_momentum(smallest: float, largest: float) -> Momentum:
    """The best momentum for quadratics whose curvatures lie between two bounds.

    Source: Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964.

    **Arguments:** `smallest` and `largest` eigenvalue of the Hessian, both above zero.

    **Raises:** `ValueError` for bounds that are not positive or in disorder.

    ```pycon
    >>> best = l2o.mechanisms.polyak_momentum(smallest=1.0, largest=9.0)
    >>> best.beta, best.alpha
    (0.25, 0.25)
    ```
    """
    if not 0 < smallest <= largest:
        raise ValueError(
            f"Curvatures go from one above zero up to a larger one, got {smallest} and {largest}."
        )
    low, high = math.sqrt(smallest), math.sqrt(largest)
    return Momentum(beta=((high - low) / (high + low)) ** 2, alpha=4 / (low + high) ** 2)
