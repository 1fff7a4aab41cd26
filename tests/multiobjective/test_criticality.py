import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conflicting_gradients import draw, least_norm

from l2o.multiobjective import (
    box_criticality,
    common_descent,
    criticality,
    relative_criticality,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_is_the_least_norm_of_matrices_and_trees():
    jacobian = draw(0, 1, 4, 6, conflict=0.8, decades=2.0)[0]
    tree = {"a": jnp.asarray(jacobian[:, :4].reshape(4, 2, 2)), "b": jnp.asarray(jacobian[:, 4:])}
    expected = least_norm(jacobian)
    assert criticality(jnp.asarray(jacobian)) == pytest.approx(expected, rel=1e-5)
    assert criticality(tree) == pytest.approx(expected, rel=1e-5)
    largest = np.linalg.norm(jacobian, axis=1).max()
    assert relative_criticality(tree) == pytest.approx(expected / largest, rel=1e-5)


def test_descends_on_all_objectives(x64):
    jacobian = jnp.asarray(draw(1, 1, 4, 6, conflict=0.9, decades=4.0)[0])
    descent = common_descent(jacobian)
    products = jacobian @ descent.direction
    assert jnp.all(products <= -(1 - 1e-6) * descent.criticality**2)
    assert descent.certificate == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(descent.direction, -descent.weights @ jacobian)


def test_one_objective_is_its_gradient():
    assert criticality(jnp.array([[3.0, 4.0]])) == pytest.approx(5.0)
    assert criticality(jnp.zeros((1, 2))) == 0.0
    assert relative_criticality(jnp.zeros((2, 2))) == 0.0


def test_in_a_box(x64):
    box = jax.jit(box_criticality)
    jacobian = jnp.asarray(draw(2, 1, 3, 4)[0])
    wide = box(jacobian, jnp.zeros(4), -100.0, 100.0)
    assert wide == pytest.approx(float(criticality(jacobian)), rel=1e-6)
    # In a corner from which all gradients point outwards nothing can be gained.
    assert box(jnp.abs(jacobian), jnp.zeros(4), 0.0, 1.0) == 0.0
    # One coordinate is free, and it gains t - t^2 / 2 at most.
    one = jnp.array([[-1.0, 5.0], [-1.0, 3.0]])
    assert box(one, jnp.zeros(2), 0.0, 10.0) == pytest.approx(1.0)
    assert box(one, jnp.zeros(2), 0.0, 0.5) == pytest.approx(np.sqrt(2 * 0.375))
