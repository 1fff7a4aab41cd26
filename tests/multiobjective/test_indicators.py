import warnings

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from l2o.multiobjective import hypervolume, igd, non_dominated, problems

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pymoo.indicators.hv import HV
    from pymoo.indicators.igd import IGD
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

# Coarse, so that equal losses and equal points are met.
LOSSES = st.integers(-2, 12).map(lambda k: k / 8)
COMPILED = {function: jax.jit(function) for function in (hypervolume, igd, non_dominated)}


def sets_of_points(m, num_points=7):
    return hnp.arrays(np.float64, (num_points, m), elements=LOSSES)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@given(data=st.data())
@settings(max_examples=40)
def test_hypervolume_is_that_of_pymoo(m, data):
    points = data.draw(sets_of_points(m))
    reference = data.draw(hnp.arrays(np.float64, m, elements=st.sampled_from([0.5, 1.0, 1.2])))
    ours = COMPILED[hypervolume](jnp.asarray(points), jnp.asarray(reference))
    if m == 1:
        expected = max(0.0, float(reference[0] - points.min()))
    else:
        expected = HV(ref_point=reference)(points)
    assert ours == pytest.approx(expected, abs=1e-12)


@given(points=sets_of_points(3), front=sets_of_points(3, 5))
@settings(max_examples=40)
def test_igd_is_that_of_pymoo(points, front):
    ours = COMPILED[igd](jnp.asarray(points), jnp.asarray(front))
    assert ours == pytest.approx(IGD(front)(points), abs=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3])
@given(data=st.data())
@settings(max_examples=40)
def test_non_dominated_points_are_those_of_pymoo(m, data):
    points = data.draw(sets_of_points(m))
    expected = NonDominatedSorting().do(points, only_non_dominated_front=True)
    found = COMPILED[non_dominated](jnp.asarray(points))
    np.testing.assert_array_equal(np.flatnonzero(found), np.sort(expected))


def test_hypervolume_of_known_fronts():
    # Under JOS1's front, f_2 = (sqrt(f_1) - 2)^2 for f_1 from 0 to 4, lies 8 / 3.
    front = problems.jos1().front(2000)
    assert hypervolume(front, 4.0) == pytest.approx(16 - 8 / 3, rel=2e-3)
    assert hypervolume(front, 4.0) < 16 - 8 / 3
    # Fonseca's is (1 - exp(-(1 - s)^2), 1 - exp(-(1 + s)^2)) for s from -1 to 1.
    s = np.linspace(-1, 1, 100_001)
    first, second = -np.expm1(-((1 - s) ** 2)), -np.expm1(-((1 + s) ** 2))
    under = np.trapezoid(second[::-1], first[::-1])
    assert hypervolume(problems.fonseca(3).front(2000), first.max()) == pytest.approx(
        first.max() ** 2 - under, rel=2e-3
    )


@pytest.mark.parametrize("m", [2, 3])
def test_what_is_not_better_than_the_reference_adds_nothing(m):
    points = jnp.asarray(np.random.default_rng(0).uniform(size=(6, m)))
    others = jnp.array([[-1.0], [jnp.nan], [jnp.inf], [0.9]]) + jnp.array([2.0, *[0.0] * (m - 1)])
    volume = hypervolume(points, 0.9)
    assert volume > 0
    assert hypervolume(jnp.concatenate([others, points]), 0.9) == pytest.approx(volume)
    assert hypervolume(others, 0.9) == 0.0
    assert hypervolume(points[:0], 0.9) == 0.0


def test_hypervolume_can_be_mapped_and_differentiated():
    points = jnp.asarray(np.random.default_rng(0).uniform(size=(3, 5, 3)))
    volumes = jax.vmap(lambda points: hypervolume(points, 1.0))(points)
    np.testing.assert_allclose(volumes, [HV(ref_point=np.ones(3))(np.asarray(p)) for p in points])
    corner = jnp.array([[0.5, 0.25]])
    slope = jax.grad(lambda points: hypervolume(points, 1.0))(corner)
    np.testing.assert_allclose(slope, [[-0.75, -0.5]])


def test_what_has_diverged_is_near_to_nothing_and_dominates_nothing():
    points = jnp.array([[jnp.nan, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [jnp.inf, -1.0]])
    np.testing.assert_array_equal(non_dominated(points), [False, True, True, False, True])
    assert igd(points, jnp.array([[0.0, 0.0], [0.0, 1.0]])) == pytest.approx(0.5)
    assert igd(points[:1], jnp.zeros((1, 2))) == jnp.inf
    assert igd(points[:0], jnp.zeros((1, 2))) == jnp.inf


def test_igd_of_the_front_itself_is_zero():
    front = problems.ZDT3().front(50)
    assert igd(front, front) == 0.0
    assert igd(front + jnp.array([0.0, 0.01]), front) == pytest.approx(0.01, rel=0.2)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="one for every objective"):
        hypervolume(jnp.ones((3, 2)), jnp.ones(3))
    with pytest.raises(ValueError, match="at least one point"):
        igd(jnp.ones((3, 2)), jnp.ones((0, 2)))


def test_whole_numbers_are_points_like_others():
    points = jnp.array([[1, 3], [3, 1]])
    assert hypervolume(points, 3.5) == 2 * 2.5 * 0.5 - 0.25
    assert igd(points, jnp.array([[0.5, 3], [3, 1]])) == 0.25
    assert igd(jnp.array([[0.5, 3], [3, 1]]), points) == 0.25
    np.testing.assert_array_equal(non_dominated(points), [True, True])


@pytest.mark.parametrize("points", [[1.0, 2.0], 3.0, [[[1.0, 2.0]]], [[1j, 2.0]]])
def test_points_are_a_matrix_of_real_numbers(points):
    points, good = jnp.array(points), jnp.array([[1.0, 2.0]])
    for indicator in (
        lambda points: hypervolume(points, 1.0),
        lambda points: igd(points, good),
        lambda points: igd(good, points),
        non_dominated,
    ):
        with pytest.raises(ValueError, match="must be real numbers, one row a point"):
            indicator(points)


def test_points_and_front_have_as_many_objectives():
    """One column would be taken for all objectives."""
    with pytest.raises(ValueError, match="as many objectives, got 1 and 2"):
        igd(jnp.ones((1, 1)), jnp.ones((1, 2)))
