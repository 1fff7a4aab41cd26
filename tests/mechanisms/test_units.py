"""Momenta do not depend on the units of the numbers that an optimizer remembers."""

import numpy as np
import pytest

from l2o.mechanisms import Linearization, momentum_modes


def linearization(jacobian, gradient_jacobian, readout, feedthrough):
    size = len(jacobian)
    return Linearization(
        state=np.zeros(size),
        gradient=1.0,
        time=0,
        update=0.0,
        residual=0.0,
        state_jacobian=np.asarray(jacobian, float),
        gradient_jacobian=np.asarray(gradient_jacobian, float),
        readout=np.asarray(readout, float),
        feedthrough=feedthrough,
    )


def modes_in_units(units):
    """Of two numbers that act on one another and a third one that nothing acts back on."""
    jacobian = np.array([[0.5, 0.1, 0.3], [0.2, 0.3, -0.4], [0.0, 0.0, 0.9]])
    gradient, readout = np.array([0.1, 0.2, 0.1]), np.array([-0.5, -0.2, -0.1])
    return momentum_modes(
        linearization(jacobian * units[:, None] / units, gradient * units, readout / units, -0.1)
    )


@pytest.mark.parametrize("unit", [1e-8, 1e-3, 1e3, 1e8])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_units_of_a_number_change_nothing(index, unit):
    units = np.ones(3)
    expected = modes_in_units(units)
    units[index] = unit
    modes = modes_in_units(units)
    assert len(modes) == len(expected)
    for mode, other in zip(modes, expected, strict=True):
        assert mode.beta == pytest.approx(other.beta, rel=1e-6)
        assert mode.alpha == pytest.approx(other.alpha, rel=1e-6)
        assert mode.num_eigenvalues == int(mode.remembers)


def test_a_decay_among_eigenvalues_at_zero_is_a_momentum():
    """Far from orthogonal directions, one of which is forgotten at once."""
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    jacobian = turn @ np.array([[0.6, 50.0], [0.0, 0.0]]) @ turn.T
    decaying = turn[:, 0]
    modes = momentum_modes(linearization(jacobian, decaying, -0.6 * decaying, -1.0))
    (momentum,) = [mode for mode in modes if mode.remembers]
    assert momentum.num_eigenvalues == 2
    assert momentum.beta == pytest.approx(0.6, rel=1e-9)
    assert momentum.alpha == pytest.approx(1.0, rel=1e-9)
    np.testing.assert_allclose(
        sum(mode.impulse_response(8) for mode in modes), -(0.6 ** np.arange(8)), atol=1e-12
    )
