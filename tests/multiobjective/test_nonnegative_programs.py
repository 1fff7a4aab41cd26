import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conflicting_gradients import draw, gramians

from l2o.multiobjective.programs.cosines import cosines_of
from l2o.multiobjective.programs.definite import made_definite
from l2o.multiobjective.programs.nonnegative_program import nonnegative_program
from l2o.multiobjective.programs.nonnegative_programs import (
    _descend_and_solve_faces,
    _solve,
    programs_of,
)
from l2o.multiobjective.programs.spectrum import (
    geometric_series,
    largest_eigenvalue,
    shifted_inverse,
)

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

M = 12


def nonnegative_programs(matrix, linear):
    return programs_of(as_they_are, matrix, jnp.zeros_like(matrix), linear)


def as_they_are(matrix, linear):
    return matrix, linear


ONE_BY_ONE = jax.jit(jax.vmap(nonnegative_program, in_axes=(None, 0)))


def cosines(seed, m, d, conflict=0.0, positive=False):
    jacobian = draw(seed, 1, m, d, conflict)[0]
    if positive:
        jacobian[:, 0] = np.abs(jacobian[:, 0]) + 0.1
    return cosines_of(jnp.asarray(jacobian @ jacobian.T))[1]


def slopes_and_gaps(matrix, linear, x):
    slopes = x @ matrix + linear
    return slopes, jnp.max(jnp.abs(jnp.minimum(x, slopes)), axis=1)


@pytest.mark.parametrize(
    ("d", "conflict", "positive"),
    [(30, 0.0, False), (30, 0.6, False), (30, 0.999, False), (13, 0.0, False), (6, 0.0, True)],
)
def test_finds_what_is_found_one_by_one(d, conflict, positive):
    for seed in range(3):
        matrix = cosines(seed, M, d, conflict, positive)
        x = nonnegative_programs(matrix, matrix)
        one_by_one = ONE_BY_ONE(matrix, matrix)
        # More rows than dimensions have many solutions, and one projection.
        np.testing.assert_allclose(x @ matrix, one_by_one @ matrix, atol=1e-9)
        if d > M:
            np.testing.assert_allclose(x, one_by_one, atol=1e-9 * np.abs(one_by_one).max())
        assert jnp.min(x) >= 0.0
        assert jnp.max(slopes_and_gaps(matrix, matrix, x)[1]) < 1e-9


def test_any_linear_terms():
    matrix = cosines(0, M, 20)
    linear = jnp.asarray(np.random.default_rng(0).standard_normal((5, M)))
    np.testing.assert_allclose(
        nonnegative_programs(matrix, linear), ONE_BY_ONE(matrix, linear), atol=1e-10
    )
    np.testing.assert_allclose(nonnegative_programs(matrix, jnp.abs(linear)), 0.0)
    np.testing.assert_allclose(nonnegative_programs(matrix, 0 * linear), 0.0)


@pytest.mark.parametrize(("d", "conflict", "positive"), [(40, 0.5, False), (8, 0.0, True)])
def test_the_usual_program_is_left_to_nobody(d, conflict, positive):
    matrix = cosines(1, 16, d, conflict, positive)
    phase = jax.jit(_descend_and_solve_faces)(matrix, matrix)
    assert phase.settled.all()
    assert phase.iteration == 1


def test_what_is_not_settled_is_left_to_pivoting(monkeypatch):
    matrix = cosines(2, M, 30, 0.5)
    expected = ONE_BY_ONE(matrix, matrix)
    monkeypatch.setattr("l2o.multiobjective.programs.nonnegative_programs._MOST_FACES", 0)
    assert not _descend_and_solve_faces(matrix, matrix).settled.any()
    np.testing.assert_allclose(_solve(matrix, matrix), expected, atol=1e-9)


def test_without_a_direction_that_descends_on_all():
    # In half as many dimensions, the dual cone of these is a point.
    matrix = cosines(0, 16, 4)
    x = nonnegative_programs(matrix, matrix)
    np.testing.assert_allclose((x + jnp.eye(16)) @ matrix, 0.0, atol=1e-9)
    assert jnp.min(x) >= 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("seed", "m", "d", "conflict"),
    # No direction descends on all of the first two, and hardly one on all of the others.
    [(0, 32, 12, 0.0), (0, 32, 32, 1.0), (0, 32, 18, 0.0), (1, 32, 96, 0.999)],
)
def test_hard_programs_against_another_solver(seed, m, d, conflict, dtype):
    unit = draw(seed, 1, m, d, conflict)[0]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    matrix = jnp.asarray((unit @ unit.T).astype(dtype), float)
    x = nonnegative_programs(matrix, matrix)
    size = jnp.linalg.norm(x, axis=1)
    # Once rounded to single precision, the matrix is not even semidefinite.
    error = {np.float32: 1e-6, np.float64: 1e-11}[dtype]
    assert jnp.min(x) >= 0.0
    assert jnp.all(slopes_and_gaps(matrix, matrix, x)[1] <= error * size)
    # Projected onto the dual cone, they are the residuals of least squares by their own rows.
    others = [scipy.optimize.nnls(unit.T, -row)[0] for row in unit]
    projections, expected = x @ unit + unit, np.asarray(others) @ unit + unit
    atol = np.sqrt(error) * float(jnp.max(size))
    np.testing.assert_allclose(projections, expected, atol=atol)


def test_what_goes_in_circles_is_left_to_the_interior_point_method(monkeypatch):
    matrix = cosines(0, M, 7)
    expected = slopes_and_gaps(matrix, matrix, ONE_BY_ONE(matrix, matrix))[0]
    name = "l2o.multiobjective.programs.{}"
    monkeypatch.setattr(name.format("nonnegative_programs._MOST_FACES"), 0)
    monkeypatch.setattr(name.format("nonnegative_program._MOST_EXCHANGES"), 0)
    monkeypatch.setattr(name.format("operator_splitting._MOST_STEPS"), 32)
    x = _solve(matrix, matrix)
    np.testing.assert_allclose(slopes_and_gaps(matrix, matrix, x)[0], expected, atol=1e-9)


def test_a_program_that_is_not_finite_does_not_harm_the_others():
    matrix = cosines(0, M, 20)
    linear = matrix.at[3, 1].set(jnp.nan)
    x = nonnegative_programs(matrix, linear)
    others = np.arange(M) != 3
    assert not jnp.isfinite(x[3]).all()
    np.testing.assert_allclose(x[others], ONE_BY_ONE(matrix, matrix)[others], atol=1e-10)


def test_can_be_mapped_and_differentiated():
    matrices = jnp.stack([cosines(seed, M, 20, 0.5) for seed in range(2)])
    mapped = jax.vmap(lambda matrix: nonnegative_programs(matrix, matrix))(matrices)
    for matrix, x in zip(matrices, mapped, strict=True):
        np.testing.assert_allclose(x, ONE_BY_ONE(matrix, matrix), atol=1e-10)
    weights = jnp.asarray(np.random.default_rng(0).standard_normal((M, M)))

    def slope_of(solve):
        def total(matrix):
            return jnp.sum(weights * solve(matrix, matrix))

        return jax.grad(total)(matrices[0])

    np.testing.assert_allclose(slope_of(nonnegative_programs), slope_of(ONE_BY_ONE), atol=1e-9)


def test_makes_definite_by_no_more_than_it_takes():
    roots = jnp.asarray(draw(0, 1, 8, 5)[0])
    assert made_definite(jnp.eye(8))[0, 0] == 1.0 + 1e-12
    for lack in [1e-10, 1e-7, 0.3]:
        matrix = roots @ roots.T / 5 - lack * jnp.eye(8)
        shift = (made_definite(matrix) - matrix)[0, 0]
        assert 2 * lack <= shift * (1 + 1e-5)
        assert shift <= 4 * lack * (1 + 1e-5)


def test_inverse_of_products():
    matrix = cosines(0, 40, 20)
    inverse = shifted_inverse(matrix, largest_eigenvalue(matrix), 0.08)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix + 0.08 * np.eye(40)), atol=1e-11)


@pytest.mark.parametrize("m", [2, 12, 40])
def test_bounds_and_preconditioner(m):
    matrix = jnp.asarray(gramians(draw(0, 1, m, 2 * m))[0]) / (2 * m)
    largest = np.linalg.eigvalsh(matrix)[-1]
    bound = largest_eigenvalue(matrix)
    assert largest <= bound <= m ** (1 / 16) * largest * (1 + 1e-12)
    contraction = jnp.eye(m) - matrix / bound
    powers = sum(np.linalg.matrix_power(contraction, k) for k in range(64))
    np.testing.assert_allclose(geometric_series(contraction), powers, rtol=1e-10, atol=1e-10)
