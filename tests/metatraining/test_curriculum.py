import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.metatraining import (
    HIERARCHICAL_CURRICULUM,
    RECURRENT_CURRICULUM,
    Curriculum,
    metatrain_on_curriculum,
)
from l2o.objectives import NormalizedMeanLoss

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(3)


def drift(amount):
    """Whatever the meta-gradient, the learning rate changes by as much a meta-step."""
    return optax.stateless(
        lambda updates, _: jax.tree.map(lambda x: jnp.full_like(x, amount), updates)
    )


def run(optimizer, family, **changes):
    settings = {"num_tasks": 2, "truncation": 1, "validation_tasks": 2, "validation_every": 1}
    settings |= {"key": KEY, "meta_steps": 20, "meta_optimizer": drift(0.125)}
    return metatrain_on_curriculum(
        optimizer, family, Curriculum((1, 2, 3, 4)), **settings | changes
    )


def test_the_published_schedules():
    assert RECURRENT_CURRICULUM.stages()[-1] == (2500, 3000)
    assert len(HIERARCHICAL_CURRICULUM.horizons) == 12
    assert HIERARCHICAL_CURRICULUM.stages()[:3] == [(100, 200), (200, 500), (500, 1000)]
    assert HIERARCHICAL_CURRICULUM.stages()[-1] == (4500, 5000)


@pytest.mark.parametrize(
    ("scores", "over"),
    [
        ([9.0], False),
        ([9.0, 8.0, 8.5, 7.0], False),
        ([9.0, 8.0, 8.5, 8.0], True),
        ([9.0, 8.0, 9.0], False),
        ([9.0, 9.5, 9.5, 9.5], True),
        ([9.0, 8.0, 7.0, float("nan")], True),
    ],
)
def test_when_a_stage_is_over(scores, over):
    assert Curriculum((1, 2)).is_over(scores) == over


def test_stages_follow_one_another_until_none_helps(learnable_rate, parabolas):
    # The best rate is 1/2, one over the curvature, whatever the horizon: after four meta-steps.
    result = run(learnable_rate(jnp.asarray(0.0)), parabolas(curvature=2.0))
    first, second = result.stages
    np.testing.assert_allclose(result.optimizer.rate, 0.5)
    assert first.best_step == 4
    # It stops at the first validation that is no better, once there were three.
    assert first.history[-1]["meta_step"] == 5
    # The second stage begins with the best of the first, and makes it no better: there is no third.
    assert second.best_step == 0
    assert [row["meta_step"] for row in second.history] == [0, 1, 2, 3]
    assert second.best_score == second.history[0]["validation_score"]
    # All is won in the first step, so that scores are initial losses over the number of losses;
    # those of the second stage are of other tasks.
    assert second.best_score * 4 != pytest.approx(first.best_score * 3)


def test_each_stage_is_validated_on_the_next_horizon(learnable_rate, parabolas):
    # Half the distance is left after every step, a quarter of the loss; nothing is ever learned,
    # so that the first stage is the last.
    result = run(
        learnable_rate(jnp.asarray(0.25)),
        parabolas(curvature=2.0),
        meta_optimizer=drift(0.0),
        objective=NormalizedMeanLoss(),
    )
    (stage,) = result.stages
    np.testing.assert_allclose(
        [row["validation_score"] for row in stage.history], (1 + 1 / 4 + 1 / 16) / 3, rtol=1e-6
    )
    # The training loss is that of one step.
    assert stage.history[-1]["meta_loss"] == pytest.approx((1 + 1 / 4) / 2)


def test_a_resumed_curriculum_is_the_same(learnable_rate, parabolas, tmp_path):
    given = (learnable_rate(jnp.asarray(0.0)), parabolas(curvature=2.0))
    whole = run(*given, folder=tmp_path, checkpoint_every=1)
    again = run(*given, folder=tmp_path, checkpoint_every=1, resume=True)
    for one, other in zip(whole.stages, again.stages, strict=True):
        assert one.history == other.history
        assert one.best_step == other.best_step
    assert whole.optimizer.rate == again.optimizer.rate


class StopError(Exception):
    pass


def test_when_a_stage_is_over_does_not_hang_on_its_metrics(learnable_rate, parabolas, tmp_path):
    given = (learnable_rate(jnp.asarray(0.0)), parabolas(curvature=2.0))

    def stop(progress):
        if progress.meta_step == 3:
            raise StopError

    with pytest.raises(StopError):
        run(*given, folder=tmp_path, checkpoint_every=1, on_progress=stop)
    (tmp_path / "stage-1" / "metrics.jsonl").unlink()
    with pytest.warns(UserWarning, match="lacks 4 of the 4 rows up to the checkpoint of meta-step"):
        resumed = run(*given, folder=tmp_path, checkpoint_every=1, resume=True)
    whole = run(*given)
    # The scores before count, though their rows are lost.
    assert resumed.stages[0].history == whole.stages[0].history[4:]
    assert resumed.stages[1].history == whole.stages[1].history
    assert resumed.optimizer.rate == whole.optimizer.rate


@pytest.mark.parametrize("horizons", [(5,), (5, 5), (0, 3), (-1, 3)])
def test_horizons_rise(horizons):
    with pytest.raises(ValueError, match="horizon"):
        Curriculum(horizons)


@pytest.mark.parametrize("min_validations", [0, -1, True])
def test_too_few_validations(min_validations):
    with pytest.raises(ValueError, match="min_validations must be a whole number of at least 1"):
        Curriculum((1, 2), min_validations)
