"""Terms of the meta-loss, against dense Hessians, closed forms and finite differences."""

import math
import re
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import filter_norms, parameter_sizes
from l2o.inner_loop import InnerState, unroll
from l2o.metatraining import (
    Exact,
    ExpectedSharpness,
    FirstOrder,
    HeldOutLoss,
    HessianNorm,
    HessianTrace,
    LocalEntropy,
    MetaLoss,
    Relative,
    SAMSharpness,
    Window,
)
from l2o.metatraining.regularizers.published import (
    MeanSquaredGradient,
    RitzSum,
    SignedPowerIteration,
    TraceOfFixedProbes,
)
from l2o.metatraining.regularizers.step_loss import StepLoss
from l2o.metatraining.through_unroll import gradient_through_unroll
from l2o.objectives import MeanLoss
from l2o.optimizers import GRU, per_task
from l2o.tasks import Task, TaskBatch, TaskFamily

pytestmark = [pytest.mark.usefixtures("quick_compilation"), pytest.mark.usefixtures("x64")]

KEY = jax.random.key(0)
MATRIX = np.random.default_rng(0).standard_normal((4, 4))
X = np.array([0.5, -1.0, 0.3, 0.8])


class Quartic(Task):
    """sum_i (Ax - batch)_i^4 / 4 + |x|^2 / 2, whose third derivatives do not vanish."""

    matrix: jax.Array

    def init(self, key):
        return 0.5 * jax.random.normal(key, (4,))

    def sample(self, key):
        return 0.3 * jax.random.normal(key, (4,))

    def sample_held_out(self, key):
        return 2 + 0.3 * jax.random.normal(key, (4,))

    def loss(self, params, batch):
        return jnp.sum((self.matrix @ params - batch) ** 4) / 4 + jnp.sum(params**2) / 2


def dense_hessian(x, batch=0.0):
    inner = MATRIX @ x - batch
    return MATRIX.T @ np.diag(3 * inner**2) @ MATRIX + np.eye(4)


def largest_eigenvalue(x):
    return np.linalg.eigvalsh(dense_hessian(x))[-1]


def slope(function, x=X, step=1e-5):
    """Central differences."""
    return np.array(
        [(function(x + d) - function(x - d)) / (2 * step) for d in step * np.eye(x.size)]
    )


def quartic(batch=0.0):
    return StepLoss(Quartic(jnp.asarray(MATRIX)), jnp.full(4, batch))


def check(regularizer, truth, rtol=1e-6, x=X):
    """Value and gradient against a function of NumPy's."""
    run = jax.jit(lambda x: regularizer.value_and_gradient(quartic(), x, KEY))
    value, gradient = run(jnp.asarray(x))
    np.testing.assert_allclose(value, truth(x), rtol=rtol)
    np.testing.assert_allclose(gradient, slope(truth, x), rtol=1e-4, atol=1e-6)


def test_hessian_norm_has_the_derivative_of_the_eigenvalue():
    regularizer = HessianNorm(1.0, num_iterations=300)
    check(regularizer, largest_eigenvalue)


def test_hessian_norm_is_a_magnitude():
    """Of a saddle whose negative curvature is the larger one."""

    class Saddle(Quartic):
        def loss(self, params, batch):
            return -super().loss(params, batch)

    loss = StepLoss(Saddle(jnp.asarray(MATRIX)), jnp.zeros(4))
    value, _ = HessianNorm(1.0, num_iterations=300).value_and_gradient(loss, jnp.asarray(X), KEY)
    assert value == pytest.approx(largest_eigenvalue(X))


class Beside(Task):
    """sum_i a_i x_i^4 / 12 + (sum_i x_i)^2 / 2: eigenvalues of about the same size, opposite."""

    coefficients: jax.Array
    factor: float = 1.0

    def init(self, key):
        raise NotImplementedError

    def loss(self, params, batch):
        return self.factor * (
            jnp.sum(self.coefficients * params**4) / 12 + jnp.sum(params) ** 2 / 2
        )


def test_hessian_norm_beside_an_eigenvalue_of_the_opposite_sign():
    coefficients, x = np.array([3.0, -3.85, 0.2]), np.array([1.5, 1.5, 0.1])

    def eigenvalues(x):
        return np.linalg.eigvalsh(np.diag(coefficients * x**2) + 1)

    def truth(x):
        return np.max(np.abs(eigenvalues(x)))

    assert 0.97 < -eigenvalues(x)[0] / eigenvalues(x)[-1] < 0.99
    loss = StepLoss(Beside(jnp.asarray(coefficients)), None)
    value, gradient = HessianNorm(1.0, num_iterations=20).value_and_gradient(
        loss, jnp.asarray(x), KEY
    )
    np.testing.assert_allclose(value, truth(x), rtol=1e-8)
    np.testing.assert_allclose(gradient, slope(truth, x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_losses_of_any_size_in_single_precision(factor):
    """Terms that are proportional to the loss stay so where its square is no number."""
    terms = (
        HessianNorm(1.0),
        HessianTrace(1.0, num_probes=2),
        SAMSharpness(1.0, rho=0.3),
        ExpectedSharpness(1.0, sigma=0.3),
        SignedPowerIteration(1.0),
        RitzSum(1.0, num_iterations=2),
        Relative(SAMSharpness(1.0, rho=0.3), parameter_sizes),
    )
    coefficients = jnp.array([3.0, -1.0, 0.2], jnp.float32)
    x = jnp.array([1.5, 1.2, 0.1], jnp.float32)

    @jax.jit
    def measure(factor):
        loss = StepLoss(Beside(coefficients, factor), None)
        return [term.value_and_gradient(loss, x, KEY) for term in terms]

    one = measure(jnp.float32(1))
    for found, expected in zip(measure(jnp.float32(factor)), one, strict=True):
        for leaf, truth in zip(found, expected, strict=True):
            assert leaf.dtype == jnp.float32
            np.testing.assert_allclose(
                np.asarray(leaf, float) / factor, truth, rtol=1e-4, atol=1e-4
            )


def test_sam_takes_no_step_where_there_is_no_gradient():
    value, gradient = SAMSharpness(1.0).value_and_gradient(quartic(), jnp.zeros(4), KEY)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_hessian_trace_in_expectation():
    """Over all sixteen vectors of signs, which are the same as over many random ones."""
    regularizer = HessianTrace(1.0, num_probes=4000)
    run = jax.jit(lambda x: regularizer.value_and_gradient(quartic(), x, KEY))
    value, gradient = run(jnp.asarray(X))

    def truth(x):
        return np.trace(dense_hessian(x))

    np.testing.assert_allclose(value, truth(X), rtol=0.05)
    np.testing.assert_allclose(gradient, slope(truth), rtol=0.1, atol=0.5)


def test_sam_sharpness_holds_its_ascent_direction():
    gradient = np.asarray(jax.grad(quartic())(jnp.asarray(X)))
    step = 0.1 * gradient / np.linalg.norm(gradient)

    def loss(x):
        return np.sum((MATRIX @ x) ** 4) / 4 + np.sum(x**2) / 2

    check(SAMSharpness(1.0, rho=0.1), lambda x: loss(x + step) - loss(x))


def test_expected_sharpness_of_a_quartic():
    """For f(x) = sum (Ax)^4 / 4 + |x|^2 / 2 the expectation is a polynomial in sigma."""
    sigma = 0.2
    variance = sigma**2 * np.sum(MATRIX**2, axis=1)

    def truth(x):
        inner = MATRIX @ x
        return np.sum(6 * inner**2 * variance + 3 * variance**2) / 4 + 4 * sigma**2 / 2

    regularizer = ExpectedSharpness(1.0, sigma=sigma, num_pairs=20_000)
    run = jax.jit(lambda x: regularizer.value_and_gradient(quartic(), x, KEY))
    value, gradient = run(jnp.asarray(X))
    np.testing.assert_allclose(value, truth(X), rtol=0.03)
    np.testing.assert_allclose(gradient, slope(truth), rtol=0.05, atol=0.02)


def test_the_slope_drops_out_of_expected_sharpness():
    """With every z comes -z, so that each pair is right where the loss is a quadratic."""

    class Steep(Task):
        def init(self, key):
            raise NotImplementedError

        def loss(self, params, batch):
            return 1000 * jnp.sum(params) + jnp.sum(params**2)

    regularizer = ExpectedSharpness(1.0, sigma=0.1)
    found = regularizer.find(StepLoss(Steep(), None), jnp.asarray(X), KEY)
    value = regularizer.value(StepLoss(Steep(), None), jnp.asarray(X), found)
    np.testing.assert_allclose(value, 0.01 * np.sum(np.asarray(found) ** 2), rtol=1e-6)


def test_local_entropy_follows_the_dynamics():
    """Without noise they are gradient descent on the loss and the spring, on fresh minibatches."""
    gamma, step_size, averaging = 0.7, 0.02, 0.6
    regularizer = LocalEntropy(
        1.0, gamma=gamma, num_steps=5, step_size=step_size, noise=0.0, averaging=averaging
    )
    loss = quartic()
    value, gradient = regularizer.value_and_gradient(loss, jnp.asarray(X), KEY)
    point = mean = X
    for index in range(5):
        batch_key, _ = jax.random.split(jax.random.fold_in(KEY, index))
        descent = np.asarray(jax.grad(loss.resampled(batch_key))(jnp.asarray(point)))
        point = point - step_size * (descent + gamma * (point - X))
        mean = averaging * mean + (1 - averaging) * point
    np.testing.assert_allclose(value, gamma / 2 * np.sum((X - mean) ** 2), rtol=1e-9)
    np.testing.assert_allclose(gradient, gamma * (X - mean), rtol=1e-9)


def test_relative_hessian_norm_is_differentiated_through_the_size():
    def truth(x):
        size = np.sqrt(np.mean(x**2))
        return np.linalg.eigvalsh(size * dense_hessian(x) * size)[-1]

    check(Relative(HessianNorm(1.0, num_iterations=300), parameter_sizes), truth)


def test_relative_terms_do_not_see_the_units_of_a_network():
    """Scaling one layer of a ReLU network and the next one back changes nothing."""

    class Network(Task):
        def init(self, key):
            raise NotImplementedError

        def loss(self, params, batch):
            return jnp.mean((jax.nn.relu(batch @ params[0]) @ params[1] - 1) ** 2)

    draw = np.random.default_rng(1)
    batch = jnp.asarray(draw.standard_normal((8, 3)))
    layers = [jnp.asarray(draw.standard_normal((3, 5))), jnp.asarray(draw.standard_normal((5, 2)))]
    rescaled = [4.0 * layers[0], layers[1] / 4.0]
    for regularizer in (HessianNorm(1.0, num_iterations=100), ExpectedSharpness(1.0, sigma=0.1)):
        values = [
            own.value_and_gradient(StepLoss(Network(), batch), params, KEY)[0]
            for own in (regularizer, Relative(regularizer, filter_norms))
            for params in (layers, rescaled)
        ]
        assert abs(values[0] / values[1] - 1) > 0.1
        np.testing.assert_allclose(values[2], values[3], rtol=1e-9)


def test_parameters_of_size_zero_keep_their_gradient():
    """A bias of zero has no relative deviations, but the regularizer depends on it."""

    class Network(Task):
        def init(self, key):
            raise NotImplementedError

        def loss(self, params, batch):
            return jnp.sum((params["weight"] ** 2 + params["bias"] - batch) ** 2)

    params = {"weight": jnp.array([[1.0], [2.0]]), "bias": jnp.zeros(1)}
    loss = StepLoss(Network(), jnp.array(0.5))
    regularizer = Relative(HessianNorm(1.0, num_iterations=100), filter_norms)
    run = jax.jit(lambda params: regularizer.value_and_gradient(loss, params, KEY))
    value, gradient = run(params)
    moved = 1e-6

    def at(bias):
        """The Hessian in the weights alone, relative to their size."""
        weight = np.array([1.0, 2.0])
        diagonal = 12 * weight**2 + 4 * (bias - 0.5)
        return np.max(diagonal) * np.mean(weight**2)

    assert value == pytest.approx(at(0.0), rel=1e-6)
    difference = (at(moved) - at(-moved)) / (2 * moved)
    np.testing.assert_allclose(gradient["bias"], difference, rtol=1e-4)


def test_held_out_loss_is_that_of_other_examples():
    value, gradient = HeldOutLoss(1.0).value_and_gradient(quartic(), jnp.asarray(X), KEY)
    loss = quartic().held_out(KEY)
    assert value == pytest.approx(float(loss(jnp.asarray(X))))
    np.testing.assert_allclose(gradient, jax.grad(loss)(jnp.asarray(X)), rtol=1e-12)


@pytest.mark.parametrize(
    ("regularizer", "truth"),
    [
        (
            SignedPowerIteration(1.0, num_iterations=300),
            lambda x: np.linalg.eigvalsh(dense_hessian(x))[-1],
        ),
        (RitzSum(1.0, num_iterations=4), lambda x: np.trace(dense_hessian(x))),
        (
            MeanSquaredGradient(1.0),
            lambda x: np.mean((MATRIX.T @ (MATRIX @ x) ** 3 + x) ** 2),
        ),
    ],
)
def test_published_variants(regularizer, truth):
    check(regularizer, truth)


def test_the_published_trace_has_the_same_probes_for_ever():
    values = [
        TraceOfFixedProbes(1.0).value_and_gradient(quartic(), jnp.asarray(X), jax.random.key(seed))
        for seed in (0, 1)
    ]
    assert values[0][0] == values[1][0]


class Quartics(TaskFamily):
    def sample(self, key):
        return Quartic(jnp.asarray(MATRIX) + 0.1 * jax.random.normal(key, (4, 4)))


REGULARIZERS = (
    HessianNorm(0.3, num_iterations=200),
    ExpectedSharpness(0.2, every=2, sigma=0.1),
    SAMSharpness(0.1, every=3),
)


@pytest.fixture
def window(random_like):
    """A window that begins at initialisation, and the optimizer for it."""
    optimizer = random_like(eqx.filter_eval_shape(lambda: GRU(3, key=KEY)), scale=0.2)
    task = TaskBatch.draw(Quartics(), KEY, 2)
    params = task.init(KEY)
    state = InnerState(params, per_task(optimizer).init(params))
    return optimizer, Window(task, KEY, state, jnp.asarray(True), jnp.ones(2), jnp.asarray(0), 6)


def test_regularized_meta_gradients_are_the_same_by_either_way(window, assert_trees_close):
    optimizer, window = window
    meta_loss = MetaLoss(MeanLoss(), REGULARIZERS)
    plain = eqx.filter_jit(FirstOrder(0).through_window)(optimizer, MetaLoss(MeanLoss()), window)
    blocks = eqx.filter_jit(FirstOrder(0).through_window)(optimizer, meta_loss, window)
    for checkpoint in (False, True):
        through = eqx.filter_jit(gradient_through_unroll)(
            optimizer, meta_loss, window, first_order=True, checkpoint=checkpoint
        )
        assert_trees_close(blocks.gradient, through.gradient, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(blocks.meta_loss, through.meta_loss, rtol=1e-10)
        np.testing.assert_allclose(blocks.regularization, through.regularization, rtol=1e-10)
    np.testing.assert_allclose(blocks.meta_loss, plain.meta_loss + blocks.regularization)
    assert blocks.regularization > 0.01


def test_regularized_exact_meta_gradient_against_finite_differences(window, random_like):
    """The eigenvector has converged, and the noise does not depend on where it is added."""
    optimizer, window = window
    meta_loss = MetaLoss(MeanLoss(), REGULARIZERS[:2])
    differentiate = eqx.filter_jit(Exact().through_window)
    result = differentiate(optimizer, meta_loss, window)
    direction = random_like(optimizer, seed=1)

    def moved(step):
        there = jax.tree.map(lambda x, d: x + step * d, optimizer, direction)
        return differentiate(there, meta_loss, window).meta_loss

    products = jax.tree.map(lambda g, d: np.sum(g * d), result.gradient, direction)
    difference = (moved(1e-6) - moved(-1e-6)) / 2e-6
    np.testing.assert_allclose(sum(jax.tree.leaves(products)), difference, rtol=1e-5)


def test_a_regularizer_acts_at_its_steps_alone(window):
    """Their mean, so that a weight means the same however often it acts."""
    optimizer, window = window

    def added(every):
        meta_loss = MetaLoss(MeanLoss(), (SAMSharpness(1.0, every=every),))
        return eqx.filter_jit(FirstOrder(0).through_window)(
            optimizer, meta_loss, window
        ).regularization

    def of_one(task, params, batch):
        return SAMSharpness(1.0).value_and_gradient(StepLoss(task, batch), params, KEY)[0]

    values = unroll(
        per_task(optimizer),
        window.task,
        window.key,
        window.num_steps,
        state=window.state,
        probe=lambda step: window.task.over_tasks(of_one, step.params, step.batch),
    ).probes
    for every in (1, 2, 3, 4, 6):
        # At the last one of so many steps.
        np.testing.assert_allclose(added(every), values[every - 1 :: every].mean(), rtol=1e-10)
    with pytest.raises(ValueError, match="every 7th inner step never does in a window of 6"):
        added(7)


def test_schedules_of_weights_see_the_meta_step(window):
    optimizer, window = window
    later = eqx.tree_at(lambda window: window.meta_step, window, jnp.asarray(5))
    scheduled = MetaLoss(MeanLoss(), (SAMSharpness(1.0, schedule=lambda step: 1.0 * step),))
    run = eqx.filter_jit(FirstOrder(0).through_window)
    assert run(optimizer, scheduled, window).regularization == 0
    steady = run(optimizer, MetaLoss(MeanLoss(), (SAMSharpness(5.0),)), window).regularization
    np.testing.assert_allclose(run(optimizer, scheduled, later).regularization, steady, rtol=1e-12)


class Counted(HessianTrace):
    """Calls a function each time that it looks for something."""

    say: Callable = eqx.field(static=True, kw_only=True)

    def find(self, loss, params, key):
        # In single precision: a callback's own threads are not told of any other.
        place = jnp.sum(params).astype(jnp.float32)
        said = jax.pure_callback(self.say, place, place, vmap_method="sequential")
        return super().find(loss, params, key) + said - place


@pytest.mark.parametrize("every", [1, 2])
def test_no_regularizer_is_computed_twice(window, every):
    """A checkpointed unroll runs its steps again, but for what regularizers found."""
    optimizer, window = window
    said = []

    def say(number):
        said.append(number)
        return np.asarray(number)

    meta_loss = MetaLoss(MeanLoss(), (Counted(0.1, every=every, say=say),))
    gradient = eqx.filter_jit(gradient_through_unroll)(
        optimizer, meta_loss, window, first_order=True, checkpoint=True
    ).gradient
    jax.block_until_ready(jax.tree.leaves(gradient))
    assert len(said) == window.task.num_tasks * (window.num_steps // every)


WEIGHTED = (
    HessianNorm,
    HessianTrace,
    LocalEntropy,
    ExpectedSharpness,
    SAMSharpness,
    HeldOutLoss,
    TraceOfFixedProbes,
    SignedPowerIteration,
    RitzSum,
    MeanSquaredGradient,
)
NONSENSE = (math.nan, math.inf, -math.inf, -1.0, -1e-9, "0.9", None, True, [1.0], {})


@pytest.mark.parametrize("kind", WEIGHTED)
def test_weights_that_are_no_numbers_of_their_range_are_refused(kind):
    for weight in (
        *NONSENSE,
        np.float32("nan"),
        jnp.asarray(-1.0),
        jnp.asarray(math.inf),
        jnp.ones(2),
    ):
        with pytest.raises(ValueError, match=r"^weight must be a (finite )?number of at least 0"):
            kind(weight)
    for weight in (0, 3, 0.5, np.float32(2), jnp.asarray(0.1)):
        assert kind(weight).weight == weight


SETTINGS = [
    (HessianNorm, "num_iterations", "count"),
    (HessianTrace, "num_probes", "count"),
    (ExpectedSharpness, "num_pairs", "count"),
    (LocalEntropy, "num_steps", "count"),
    (TraceOfFixedProbes, "num_probes", "count"),
    (SignedPowerIteration, "num_iterations", "count"),
    (RitzSum, "num_iterations", "count"),
    *((kind, "every", "count") for kind in WEIGHTED),
    (ExpectedSharpness, "sigma", "number"),
    (SAMSharpness, "rho", "number"),
    (LocalEntropy, "gamma", "number"),
    (LocalEntropy, "step_size", "number"),
    (LocalEntropy, "noise", "number"),
    (LocalEntropy, "averaging", "share"),
]


@pytest.mark.parametrize(("kind", "name", "type_"), SETTINGS)
def test_settings_out_of_range_are_refused(kind, name, type_):
    wrong = {
        "count": (0, -1, 2.5, *NONSENSE),
        "number": NONSENSE,
        "share": (1.0, 2.0, *NONSENSE),
    }[type_]
    for value in wrong:
        # A wrong type is refused before by the checks of types that tests are run with.
        with pytest.raises((ValueError, TypeError)) as refusal:
            kind(1.0, **{name: value})
        if type(value) is (int if type_ == "count" else float):
            assert re.match(
                rf"{name} must be (a (finite|whole) number of )?at least", str(refusal.value)
            )
    smallest = 1 if type_ == "count" else 0.0
    assert getattr(kind(1.0, **{name: smallest}), name) == smallest


def test_schedules_and_scales_are_functions():
    with pytest.raises((ValueError, TypeError), match="schedule"):
        SAMSharpness(1.0, schedule=0.5)
    with pytest.raises((ValueError, TypeError), match="scale"):
        Relative(SAMSharpness(1.0), 0.5)
    with pytest.raises((ValueError, TypeError), match="regularizer"):
        Relative(0.5, filter_norms)


def test_weights_may_be_what_a_program_is_compiled_for():
    """A weight that is traced cannot be looked at, and is not."""
    weight = jax.jit(lambda weight: SAMSharpness(weight).weight)(-1.0)
    assert weight == -1
    weight = jax.grad(lambda weight: SAMSharpness(2 * weight).factor(jnp.asarray(0)))(1.0)
    assert weight == 2
