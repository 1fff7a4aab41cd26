"""Gradients of any size in the range of single and half precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conflicting_gradients import draw

from l2o import multiobjective as mo
from l2o.multiobjective.programs.simplex import project_onto_simplex

pytestmark = pytest.mark.usefixtures("quick_compilation")

M, D = 4, 9
JACOBIAN = draw(0, 1, M, D, conflict=0.7, decades=1.0)[0]
# How the combination J'w grows with the gradients: with the power 1 unless it is said.
WEIGHTINGS = {
    "mean": (mo.mean, 1),
    "mgda": (mo.mgda, 1),
    "upgrad": (mo.upgrad, 1),
    "dualproj": (mo.dualproj, 1),
    "cagrad": (mo.cagrad, 1),
    "imtl_g": (mo.imtl_g, 1),
    "nash_mtl": (partial(mo.nash_mtl, max_norm=None), 1),
    "fairgrad": (mo.fairgrad, 0),
    "aligned_mtl": (mo.aligned_mtl, 1),
    "config": (mo.config, 1),
    "pcgrad": (mo.pcgrad, 1),
    "gradvac": (mo.gradvac, 1),
    "krum": (partial(mo.krum, num_byzantine=1), 1),
}
TRANSFORMATIONS = {
    "GradNorm": mo.aggregate(mo.GradNorm(), num_objectives=M),
    "SDMGrad": mo.aggregate(mo.SDMGrad(learning_rate=0.1), num_objectives=M),
    "GradVac": mo.aggregate(mo.GradVac(), num_objectives=M),
    "CRMOGM": mo.aggregate(mo.CRMOGM(mo.upgrad), num_objectives=M),
    "PCD": mo.aggregate(mo.PCD(), num_objectives=M),
    "db_mtl": mo.db_mtl(M),
    "excess_mtl": mo.excess_mtl(M),
    "aggregate": mo.aggregate(mo.upgrad),
}


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_the_scale_of_all_gradients_does_not_matter(name):
    weighting, power = WEIGHTINGS[name]
    combine = jax.jit(lambda jacobian: weighting(mo.gramian(jacobian)))
    expected = np.asarray(combine(jnp.asarray(JACOBIAN, jnp.float32)), float) @ JACOBIAN
    for scale in (1e-25, 1e-20, 1e20, 1e25):
        jacobian = np.float32(JACOBIAN * scale)
        found = np.asarray(combine(jnp.asarray(jacobian)), float) @ JACOBIAN * scale ** (1 - power)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_nor_does_it_with_a_state(name):
    transformation = TRANSFORMATIONS[name]
    update = jax.jit(lambda g, state: transformation.update(g, state, value=jnp.arange(1.0, 5.0)))
    runs = []
    for scale in (1.0, 1e-25, 1e25):
        state, updates = transformation.init(jnp.zeros(D)), []
        for jacobian in draw(0, 3, M, D, conflict=0.7, decades=1.0):
            new, state = update(jnp.asarray(jacobian * scale, jnp.float32), state)
            updates.append(np.asarray(new, float) / scale)
        runs.append(np.stack(updates))
    for other in runs[1:]:
        np.testing.assert_allclose(other, runs[0], rtol=1e-4, atol=1e-5 * np.abs(runs[0]).max())


def test_steps_of_a_fixed_length():
    """MoDo's and MoCo's steps grow with the gradients, by definition, until they end at one."""
    steepest = np.argmin(JACOBIAN @ JACOBIAN.mean(axis=0))
    for transformation, share in (
        (mo.aggregate(mo.MoDo(), num_objectives=M), 1),
        (mo.moco(M), 0.5),
    ):
        for scale in (1e-25, 1e5, 1e20, 1e25):
            jacobian = jnp.asarray(JACOBIAN * scale, jnp.float32)
            update, _ = transformation.update(jacobian, transformation.init(jacobian[0]))
            expected = JACOBIAN.mean(axis=0) if scale < 1 else JACOBIAN[steepest]
            np.testing.assert_allclose(update / scale, share * expected, rtol=1e-3)


@pytest.mark.parametrize("size", [1.0, 1e8, 1e30])
def test_the_nearest_point_of_the_simplex(size):
    """Against what the optimality condition says, in double precision."""
    generator = np.random.default_rng(0)
    points = generator.normal(generator.normal(size=(60, 1)) * size, 1.0, (60, M))
    points[::3] = size * generator.normal(size=(20, M))
    points = np.float32(points)
    points[1::3, 0] = -np.inf
    found = np.asarray(jax.vmap(project_onto_simplex)(jnp.asarray(points)), float)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    # Coordinates that are left are all as much below the point's; the others are below that.
    below = points.astype(float) - found
    lengths = np.max(np.where(found > 0, below, -np.inf), axis=1, keepdims=True)
    assert (below <= lengths + 1e-6).all()
    assert (np.where(found > 0, lengths - below, 0.0) <= 1e-6).all()


def test_criticality_of_any_scale():
    expected = mo.criticality(jnp.asarray(JACOBIAN, jnp.float32))
    in_box = jax.jit(mo.box_criticality)
    for scale in (1e-25, 1e25):
        box = np.float32([0.0, -scale, scale]).reshape(3, 1) * np.ones((1, D), np.float32)
        found, least = (
            in_box(jnp.asarray(JACOBIAN * scale, jnp.float32), *box),
            in_box(jnp.asarray(JACOBIAN, jnp.float32), *np.sign(box)),
        )
        assert found / scale == pytest.approx(float(least), rel=1e-5)
        found = mo.common_descent(jnp.asarray(JACOBIAN * scale, jnp.float32))
        assert found.criticality / scale == pytest.approx(float(expected), rel=1e-5)
        assert found.certificate == pytest.approx(1.0, rel=1e-3)
        relative = mo.relative_criticality(jnp.asarray(JACOBIAN * scale, jnp.float32))
        largest = np.linalg.norm(JACOBIAN, axis=1).max()
        assert relative == pytest.approx(float(expected) / largest, rel=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision(dtype):
    jacobian = jnp.asarray(300 * JACOBIAN, dtype)
    gramian = mo.gramian(jacobian)
    rows = np.asarray(jacobian, float)
    np.testing.assert_allclose(gramian.matrix, rows @ rows.T, rtol=1e-5, atol=1e-2)
    update, _ = mo.aggregate(mo.upgrad).update(jacobian, mo.aggregate(mo.upgrad).init(jacobian[0]))
    assert update.dtype == dtype
    expected = np.asarray(mo.upgrad(jnp.asarray(rows @ rows.T, jnp.float32))) @ rows
    np.testing.assert_allclose(
        np.asarray(update, float), expected, atol=1e-2 * np.abs(expected).max()
    )


@pytest.mark.parametrize("shape", [(3, 70_000), (2, 131_072 // 2), (5, 3)])
def test_gramians_are_added_up_in_double_precision(shape):
    rows = np.float32(np.random.default_rng(0).standard_normal(shape))
    # So nearly the same that all which tells them apart is lost to a rounded cosine.
    rows[1] = rows[0] * np.float32(1 + 1e-3) + np.float32(1e-5) * rows[1]
    tree = {"a": jnp.asarray(rows[:, :2]), "b": jnp.asarray(rows[:, 2:, None])}
    gramian = jax.jit(mo.gramian)(tree)
    exact = rows.astype(float) @ rows.astype(float).T
    norms = np.sqrt(np.diag(exact))
    cosines = np.asarray(gramian.cosines, float) + np.asarray(gramian.remainder, float)
    np.testing.assert_allclose(cosines, exact / norms[:, None] / norms, atol=3e-14)
    np.testing.assert_allclose(gramian.norms, norms, rtol=1e-7)


def test_derivatives_of_a_gramian():
    rows, change = np.random.default_rng(1).standard_normal((2, 3, 7))

    def total(jacobian):
        gramian = mo.gramian(jacobian)
        return jnp.sum(jnp.sin(gramian.matrix)) + jnp.sum(gramian.cosines[0] * gramian.norms)

    def plain(jacobian):
        products = jacobian @ jacobian.T
        norms = jnp.sqrt(jnp.diag(products))
        cosines = products / norms[:, None] / norms
        return jnp.sum(jnp.sin(products)) + jnp.sum(cosines[0] * norms)

    arguments = (jnp.asarray(rows, jnp.float32),), (jnp.asarray(change, jnp.float32),)
    for order in (
        lambda f: f,
        jax.grad,
        lambda f: jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2)),
    ):
        ours, theirs = order(total)(*arguments[0]), order(plain)(*arguments[0])
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    ours, theirs = (jax.jvp(f, *arguments)[1] for f in (total, plain))
    assert ours == pytest.approx(float(theirs), rel=1e-4)


@pytest.mark.parametrize("m", [3, 8])
def test_upgrad_near_critical_points(m):
    """The combination is a ten-thousandth of the gradients; a rounded Gramian tells nothing."""
    jacobians = draw(0, 20, m, 2 * m, conflict=1.0) + 1e-4 * draw(2, 20, 1, 2 * m)
    jacobians = np.float32(jacobians)
    upgrad = jax.jit(jax.vmap(lambda jacobian: mo.upgrad(mo.gramian(jacobian))))
    for rows, weights in zip(
        jacobians.astype(float), np.asarray(upgrad(jacobians), float), strict=True
    ):
        projections = [row + rows.T @ scipy.optimize.nnls(rows.T, -row)[0] for row in rows]
        expected = np.mean(projections, axis=0)
        error = np.linalg.norm(weights @ rows - expected)
        assert error <= 0.02 * np.linalg.norm(expected)


def test_small_programs_from_all_supports():
    from l2o.multiobjective.programs.enumeration import enumerate_supports

    with jax.enable_x64(True):
        for m in range(1, 6):
            rows = draw(m, 1, m, 7, conflict=0.8)[0]
            matrix = rows @ rows.T / 7
            linear = np.random.default_rng(m).standard_normal((6, m))
            x = np.asarray(enumerate_supports(jnp.asarray(matrix), jnp.asarray(linear)))
            slopes = x @ matrix + linear
            assert (x >= 0).all()
            np.testing.assert_allclose(np.minimum(x, slopes), 0.0, atol=1e-9)
