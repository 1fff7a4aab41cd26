import inspect
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import jax
import pytest

from l2o.metatraining import HeldOutLoss, HessianNorm, LocalEntropy, Relative
from l2o.optimizers import LearnedOptimizer
from l2o.recipes import (
    RECIPES,
    AnyOptimizer,
    AnyTask,
    Recipe,
    RegularizationSettings,
    TrainingSettings,
    find_recipe,
)
from l2o.recipes.task_settings import ImageConv, ImageMLP, Quadratic
from l2o.support.canonical import canonical
from l2o.tasks import ReparameterizedFamily, TaskFamily

SOURCE = Path("recipe.json")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_named_recipes_survive_json(recipe):
    assert Recipe.from_json(recipe.to_json(), SOURCE) == recipe


def test_names_are_unique():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize("task", get_args(AnyTask))
def test_every_task_survives_json(task):
    recipe = replace(RECIPES[0], task=task())
    assert Recipe.from_json(recipe.to_json(), SOURCE) == recipe


@pytest.mark.parametrize("optimizer", get_args(AnyOptimizer))
def test_every_optimizer_survives_json_and_is_built_as_asked(optimizer):
    size = next(name for name in optimizer.__dataclass_fields__ if name.endswith("size"))
    recipe = replace(RECIPES[0], optimizer=optimizer(**{size: 7}))
    assert Recipe.from_json(recipe.to_json(), SOURCE) == recipe
    built = recipe.optimizer.build(jax.random.key(0))
    assert isinstance(built, LearnedOptimizer)
    assert built.config()[size] == 7
    assert built.config().keys() == optimizer.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    "task",
    [
        task()
        for task in get_args(AnyTask)
        if "L2O_DATA" not in str(task.__doc__) and task.__name__ != "CharacterModel"
    ],
    ids=lambda task: type(task).__name__,
)
def test_every_task_builds_its_family(task):
    task = replace(task, dataset="digits") if isinstance(task, ImageConv) else task
    if isinstance(task, ImageConv):
        task = replace(task, network="four-layer-conv")
    assert isinstance(task.family(judge_on="validation"), TaskFamily)
    assert task.title


def test_reparameterization_wraps_the_family():
    family = Quadratic(max_log_scale=1.5).family(judge_on="test")
    assert isinstance(family, ReparameterizedFamily)
    assert family.max_log_scale == 1.5


def edited(change):
    content = json.loads(RECIPES[0].to_json())
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(foo=1), "unknown field foo"),
        (lambda r: r["task"].update(batch_sise=1), r"unknown field batch_sise @ \$.task"),
        (lambda r: r["task"].update(kind="ImageMPL"), "did you mean ImageMLP"),
        (lambda r: r["task"].pop("kind"), "kind must be one of"),
        (lambda r: r.update(task=3), "kind must be one of"),
        (lambda r: r.pop("optimizer"), "missing field optimizer"),
        (lambda r: r["training"].update(meta_steps="7"), "expected int, got '7'"),
        (lambda r: r["training"].update(meta_steps=7.5), "expected int, got 7.5"),
        (lambda r: r["training"].update(meta_steps=True), "expected int, got True"),
        (lambda r: r["training"].update(learning_rate="x"), "expected int or float, got 'x'"),
        (lambda r: r["training"].update(schedule="linear"), "linear not in literal"),
        (lambda r: r["task"].update(hidden=20), r"\$.task.hidden"),
        (lambda r: r.update(training=3), r"\$.training"),
    ],
)
def test_every_mistake_in_json_ends_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        Recipe.from_json(edited(change), SOURCE)
    assert str(caught.value).startswith("recipe.json is no valid recipe: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "nonsense"])
def test_no_json(text):
    with pytest.raises(ValueError, match=r"recipe.json is no JSON file"):
        Recipe.from_json(text, SOURCE)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_json_but_no_recipe(text):
    with pytest.raises(ValueError, match="expected an object"):
        Recipe.from_json(text, SOURCE)


def test_unknown_names_and_missing_files():
    with pytest.raises(ValueError, match="Did you mean 'digits-rnnprop'"):
        find_recipe("digit-rnnprop")
    with pytest.raises(ValueError, match="cannot be read"):
        find_recipe("nowhere/config.json")


def test_a_recipe_from_a_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(RECIPES[1].to_json())
    assert find_recipe(str(path)) == RECIPES[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta_steps": 0}, "meta_steps must be at least 1"),
        ({"truncation": 30}, "truncation must divide horizon, got 30 and 100"),
        ({"learning_rate": -1.0}, "learning_rate must be a finite number of at least 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number of at least 0"),
        ({"clip_norm": -1.0}, "clip_norm must be a finite number above 0"),
        ({"clip_norm": 0.0}, "clip_norm must be a finite number above 0"),
        ({"clip_value": 0.0}, "clip_value must be a finite number above 0"),
        ({"b1": 1.0}, "b1 must be a finite number of at least 0 and below 1"),
        ({"b2": 2.0}, "b2 must be a finite number of at least 0 and below 1"),
        ({"b2": 1 - 1e-9}, "b2 must be a finite number of at least 0 and below 1"),
        ({"epsilon": 0.0}, "epsilon must be a finite number above 0"),
        ({"epsilon": float("inf")}, "epsilon must be a finite number above 0"),
        ({"decay_rate": 0.0}, "decay_rate must be a finite number above 0 and of at most 1"),
        ({"decay_rate": 2.0}, "decay_rate must be a finite number above 0 and of at most 1"),
        ({"decay_steps": 0}, "decay_steps must be at least 1"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"imitation_ratio": 1.5}, "imitation_ratio must be .* of at most 1"),
        ({"meta_l2_penalty": -1e-9}, "meta_l2_penalty must be a finite number of at least 0"),
        ({"meta_steps": 1.5}, "meta_steps must be a whole number"),
    ],
)
def test_training_settings_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**changes).check()


@pytest.mark.parametrize(
    "changes",
    [
        {"b1": 0.0, "b2": 0.0},
        {"decay_rate": 1.0, "imitation_ratio": 1.0, "warmup_steps": 0, "meta_l2_penalty": 0.0},
        {"imitation_ratio": 0.0, "learning_rate": 0.0, "clip_norm": None, "clip_value": None},
    ],
)
def test_training_settings_on_the_edge(changes):
    TrainingSettings(**changes).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective_weight": 0.0}, "Nothing is left of the meta-loss"),
        ({"objective_weight": -1.0, "held_out_loss": 1.0}, "objective_weight must be a finite"),
        ({"hessian_norm": float("nan")}, "hessian_norm must be a finite number of at least 0"),
        ({"entropy_gamma": -1.0}, "entropy_gamma must be a finite number of at least 0"),
        ({"entropy_step_size": 0.0}, "entropy_step_size must be a finite number above 0"),
        ({"sharpness_sigma": 0.0}, "sharpness_sigma must be a finite number above 0"),
        ({"sam_rho": 0.0}, "sam_rho must be a finite number above 0"),
        ({"entropy_steps": 0}, "entropy_steps must be at least 1"),
        ({"hessian_iterations": 0}, "hessian_iterations must be at least 1"),
    ],
)
def test_regularization_settings_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        RegularizationSettings(**changes).check(truncation=20)


def test_every_weight_alone_is_a_meta_loss():
    weights = [
        field.name
        for field in fields(RegularizationSettings)
        if "Weight of" in (inspect.getsource(RegularizationSettings).split(field.name, 1)[1])[:60]
    ]
    assert len(weights) == 7
    for name in weights:
        RegularizationSettings(**({"objective_weight": 0.0} | {name: 1.0})).check(truncation=20)


def test_the_learning_rate_warms_up_and_falls():
    settings = TrainingSettings(
        meta_steps=110, learning_rate=1.0, schedule="cosine", warmup_steps=10
    )
    schedule = settings.build_schedule()
    assert schedule(0) == 0
    assert schedule(5) == pytest.approx(0.5)
    assert schedule(10) == pytest.approx(1.0)
    assert schedule(60) == pytest.approx(0.505)
    assert schedule(110) == pytest.approx(0.01)


def test_flat_names_every_setting():
    flat = replace(RECIPES[0], task=ImageMLP(batch_size=7)).flat()
    assert flat["task.batch_size"] == 7
    assert flat["task.kind"] == "ImageMLP"
    assert flat["seed"] == 0


@pytest.mark.parametrize("task", get_args(AnyTask))
@pytest.mark.parametrize("optimizer", get_args(AnyOptimizer))
def test_flags_of_a_recipe_have_names_of_their_own(task, optimizer):
    """On the command line there are no prefixes to tell them apart."""
    parts = (task, optimizer, TrainingSettings, RegularizationSettings)
    names = [field.name for part in parts for field in fields(part)]
    assert len(set(names)) == len(names)


def test_regularizers_are_built_as_asked():
    assert RegularizationSettings().build() == ()
    settings = RegularizationSettings(
        hessian_norm=0.1, local_entropy=0.2, held_out_loss=0.3, regularize_every=5
    )
    norm, entropy, held_out = settings.build()
    assert isinstance(norm, HessianNorm)
    assert isinstance(entropy, LocalEntropy)
    assert isinstance(held_out, HeldOutLoss)
    assert [float(each.weight) for each in (norm, entropy, held_out)] == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    assert {each.every for each in (norm, entropy, held_out)} == {5}
    relative = replace(settings, relative_to="filters").build()
    assert [type(each) for each in relative] == [Relative, Relative, HeldOutLoss]
    with pytest.raises(ValueError, match="regularize_every must be at least 1"):
        RegularizationSettings(regularize_every=0).check(truncation=20)
    with pytest.raises(ValueError, match="at most truncation, got 21 and 20"):
        RegularizationSettings(regularize_every=21).check(truncation=20)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"schedule": "cosine", "warmup_steps": 3},
        {"schedule": "exponential", "meta_l2_penalty": 0.1, "clip_value": 1.0, "clip_norm": 2.0},
        {"warmup_steps": 5, "b1": 0.5, "imitation_ratio": 0.2},
    ],
)
def test_equal_settings_share_programs(settings):
    """What is compiled for one serves for the other, and not for those of other settings."""
    made, again, other = (
        canonical((each.build_meta_optimizer(), each.build_imitation(), each.build_objective()))
        for each in (
            TrainingSettings(**settings),
            TrainingSettings(**settings),
            TrainingSettings(**settings, learning_rate=0.5),
        )
    )
    assert jax.tree.structure(made) == jax.tree.structure(again)
    assert jax.tree.leaves(made) == jax.tree.leaves(again)
    assert jax.tree.leaves(made) != jax.tree.leaves(other)
