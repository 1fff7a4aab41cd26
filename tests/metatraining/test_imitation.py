import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.metatraining import Imitation, metatrain
from l2o.optimizers import GRU, from_optax
from l2o.tasks import QuadraticFamily, TaskBatch

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(4)
SGD = from_optax(optax.sgd(0.25))
SMALL = {"num_tasks": 2, "horizon": 4, "truncation": 2, "validation_tasks": 2, "key": KEY}


def imitate(optimizer, family, num_steps=3, teacher=SGD):
    task = TaskBatch.draw(family, KEY, 2)
    program = eqx.filter_jit(
        lambda optimizer, task: Imitation(1.0, teacher)(optimizer, task, KEY, num_steps)
    )
    return program(optimizer, task)


def test_loss_and_derivative_by_hand(learnable_rate, parabolas, x64):
    family = parabolas(curvature=2.0)
    loss, gradient = imitate(learnable_rate(jnp.asarray(0.1)), family)
    start = TaskBatch.draw(family, KEY, 2).task.start
    # The teacher halves the parameter at every step.
    slopes = 2.0 * np.outer(0.5 ** np.arange(3), start)
    np.testing.assert_allclose(loss, np.mean((0.15 * slopes) ** 2) / 2, rtol=1e-9)
    np.testing.assert_allclose(gradient.rate, -0.15 * np.mean(slopes**2), rtol=1e-9)


def test_nothing_is_to_be_learned_from_an_equal(learnable_rate, parabolas):
    loss, gradient = imitate(learnable_rate(jnp.asarray(0.25)), parabolas())
    assert loss == gradient.rate == 0


def test_derivative_of_a_recurrent_optimizer_against_finite_differences(random_like, x64):
    make = eqx.filter_eval_shape(lambda: GRU(3, key=KEY))
    optimizer, direction = random_like(make, scale=0.5), random_like(make, seed=1)
    teacher = from_optax(optax.adam(0.01))
    family = QuadraticFamily(2)
    _, gradient = imitate(optimizer, family, teacher=teacher)
    ahead, behind = (
        imitate(
            jax.tree.map(lambda x, d, h=h: x + h * d, optimizer, direction),
            family,
            teacher=teacher,
        )[0]
        for h in (1e-5, -1e-5)
    )
    products = jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)
    np.testing.assert_allclose(
        sum(jax.tree.leaves(products)), (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-12
    )


def test_meta_training_by_imitation_finds_the_teacher(learnable_rate, parabolas):
    result = metatrain(
        learnable_rate(jnp.asarray(0.1)),
        parabolas(curvature=2.0),
        meta_steps=60,
        meta_optimizer=optax.adam(optax.exponential_decay(0.05, 20, 0.5)),
        imitation=Imitation(1.0, SGD),
        **SMALL,
    )
    np.testing.assert_allclose(result.last_optimizer.rate, 0.25, atol=0.01)
    assert all(row["imitation"] == 1 for row in result.history)


def test_imitation_leaves_the_inner_problems_where_they_are(learnable_rate, parabolas):
    """With meta-parameters that never change, the other meta-steps are those without imitation."""
    given = {"meta_optimizer": optax.sgd(0.0), **SMALL}
    optimizer = learnable_rate(jnp.asarray(0.1))
    mixed = metatrain(optimizer, parabolas(), meta_steps=12, imitation=Imitation(0.5, SGD), **given)
    losses = [row["meta_loss"] for row in mixed.history if not row["imitation"]]
    assert 2 < len(losses) < 10
    # Windows alternate between the first and the second of a task, on which the loss is lower.
    falls = [later < earlier for earlier, later in zip(losses[::2], losses[1::2], strict=False)]
    assert all(falls)


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_ratios_are_probabilities(ratio):
    with pytest.raises(ValueError, match="ratio must be a finite number of at least 0 and"):
        Imitation(ratio)
