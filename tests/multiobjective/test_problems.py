import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.multiobjective import box_criticality, problems, relative_criticality

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

FREE = {
    "jos1": lambda: problems.jos1(5),
    "zlt1": problems.zlt1,
    "sp1": problems.sp1,
    "mop7": problems.mop7,
    "random_quadratics": lambda: problems.random_quadratics(
        jax.random.key(0), 3, 4, condition=100.0, scales=jnp.array([1.0, 100.0, 0.01])
    ),
    "fonseca": lambda: problems.fonseca(10),
    "ff1": problems.ff1,
    "slcdt1": problems.SLCDT1,
    "slcdt2": problems.SLCDT2,
    "hil1": problems.Hil1,
    "cagrad_toy": problems.CAGradToy,
}
BOXED = {
    "zdt1": problems.ZDT1,
    "zdt2": problems.ZDT2,
    "zdt3": problems.ZDT3,
    "zdt4": problems.ZDT4,
    "dtlz1": problems.DTLZ1,
    "dtlz2": problems.DTLZ2,
    "dtlz3": problems.DTLZ3,
    "dtlz4": lambda: problems.DTLZ4(m=4),
}


@pytest.mark.parametrize("name", FREE)
def test_the_critical_set_is_critical_and_what_is_off_it_is_not(name):
    problem = FREE[name]()
    points = problem.critical_set(12)

    @jax.jit
    @jax.vmap
    def omega(params):
        return relative_criticality(problem.jacobian(params))

    assert omega(points).max() < 1e-11
    off = points + 0.1 * jnp.sign(jax.random.normal(jax.random.key(1), points.shape))
    distances = jax.vmap(problem.distance_to_critical_set)(off)
    is_off = distances > 0.02
    assert is_off.sum() >= 5
    assert omega(off)[is_off].min() > 1e-6
    nearest = jax.vmap(problem.distance_to_critical_set)(points)
    assert nearest.max() < (0.1 if name == "slcdt2" else 0.02)


@pytest.mark.parametrize("name", BOXED)
def test_the_critical_set_in_a_box(name):
    problem = BOXED[name]()
    points = problem.critical_set(8)
    lower, upper = problem.bounds

    @jax.jit
    @jax.vmap
    def omega(params):
        return box_criticality(problem.jacobian(params), params, lower, upper)

    assert omega(points).max() < 1e-6
    if name != "dtlz4":  # Its gradients are too small to tell.
        off = jnp.clip(points + 0.07, lower, upper - 0.02)
        assert omega(off).min() > 1e-3


@pytest.mark.parametrize("name", [*FREE, *BOXED, "zdt6"])
def test_starts_are_in_their_box_and_have_losses(name):
    problem = {**FREE, **BOXED, "zdt6": problems.ZDT6}[name]()
    start = problem.sample_start(jax.random.key(0))
    assert jnp.isfinite(problem.losses(start)).all()
    assert start.shape == problem.critical_set(2)[0].shape
    if problem.bounds is not None:
        assert jnp.all(start >= problem.bounds[0])
        assert jnp.all(start <= problem.bounds[1])


def test_known_losses():
    toy = problems.CAGradToy()
    np.testing.assert_allclose(toy.losses(jnp.array([0.0, -8.35511])), -15.0916, atol=1e-4)
    np.testing.assert_allclose(
        toy.losses(jnp.array([7.0, -8.43446])), [-19.98943, -0.39794], atol=1e-4
    )
    end = problems.CAGradToy().critical_set(2)[0]
    np.testing.assert_allclose(end, [-7.0, -8.43446], atol=1e-5)
    np.testing.assert_allclose(problems.SLCDT1().critical_set(3)[0].sum(), -1.31339705, atol=1e-8)


@pytest.mark.parametrize("make", ["sch1", "bk1", "mhhm2", "lov1", "sp1", "mop7"])
def test_critical_points_of_quadratics_go_from_centre_to_centre(make):
    problem = getattr(problems, make)()
    centres = jax.vmap(problem.critical_point)(jnp.eye(len(problem.centres)))
    np.testing.assert_allclose(centres, problem.centres, atol=1e-12)
    np.testing.assert_allclose(jnp.diag(jax.vmap(problem.losses)(problem.centres)), problem.least)


def test_mop7_is_as_published():
    x, y = np.random.default_rng(0).normal(size=(2, 20))
    expected = [
        (x - 2) ** 2 / 2 + (y + 1) ** 2 / 13 + 3,
        (x + y - 3) ** 2 / 36 + (-x + y + 2) ** 2 / 8 - 17,
        (x + 2 * y - 1) ** 2 / 175 + (2 * y - x) ** 2 / 17 - 13,
    ]
    found = jax.vmap(problems.mop7().losses)(jnp.stack([x, y], axis=1))
    np.testing.assert_allclose(found.T, expected)


def test_fronts():
    def front(problem):
        return problem.front(20).T

    for problem in (problems.ZDT1(), problems.ZDT4()):
        first, second = front(problem)
        np.testing.assert_allclose(second, 1 - jnp.sqrt(first), atol=1e-12)
    for problem in (problems.ZDT2(), problems.ZDT6()):
        first, second = front(problem)
        np.testing.assert_allclose(second, 1 - first**2, atol=1e-12)
    np.testing.assert_allclose(jnp.sum(front(problems.DTLZ1()), axis=0), 0.5)
    for problem in (problems.DTLZ2(), problems.DTLZ3(), problems.DTLZ4(m=4)):
        np.testing.assert_allclose(jnp.sum(front(problem) ** 2, axis=0), 1.0)


def test_factors_on_losses_do_not_move_critical_points():
    problem = problems.random_quadratics(jax.random.key(0), 2, 4)
    scaled = eqx.tree_at(
        lambda problem: problem.matrices,
        problem,
        problem.matrices * jnp.array([1.0, 1e3])[:, None, None],
    )
    np.testing.assert_allclose(scaled.critical_set(9), problem.critical_set(9), rtol=1e-6)


def test_a_front_has_no_points_that_are_critical_and_not_optimal():
    critical = problems.SLCDT1().critical_set(99)
    is_optimal = jnp.abs(jnp.sum(critical, axis=1)) > 1.0
    losses = jax.vmap(problems.SLCDT1().losses)(critical)[is_optimal]
    front = problems.SLCDT1().front(99)
    np.testing.assert_allclose(front, losses[jnp.argsort(losses[:, 0])])
    # The two pieces of Hil1's front end at a radius of 1.11; its line x = 0 has one of 3 / 2.
    radii = jnp.linalg.norm(problems.Hil1().front(200), axis=1)
    assert radii.max() < 1.11
    assert radii.min() == pytest.approx(0.5, abs=1e-3)


def test_zlt1_has_room_for_its_objectives():
    with pytest.raises(ValueError, match="no more objectives"):
        problems.zlt1(4, 3)
