import inspect
import json
from dataclasses import fields, replace
from pathlib import Path

import jax
import pytest

from l2o.cli.composed import regularizer_flags, with_regularizer_flags
from l2o.composition import (
    LEARNED_OPTIMIZER,
    REGULARIZER,
    TASK_FAMILY,
    Composed,
    find_member,
    members,
)
from l2o.flatness import filter_norms, parameter_sizes
from l2o.metatraining import HeldOutLoss, HessianNorm, LocalEntropy, Relative, metatrain
from l2o.runs import (
    RECIPES,
    Recipe,
    Regularization,
    TrainingSettings,
    find_recipe,
    make_family,
    make_optimizer,
)
from l2o.runs.building import (
    build_imitation,
    build_meta_optimizer,
    build_objective,
    build_regularizers,
    build_schedule,
)
from l2o.support.canonical import canonical
from l2o.tasks import ReparameterizedFamily, TaskFamily

SOURCE = Path("recipe.json")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_named_recipes_survive_json(recipe):
    assert Recipe.from_json(recipe.to_json(), SOURCE) == recipe


def test_names_are_unique():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize("task", members(TASK_FAMILY))
def test_every_task_survives_json(task):
    recipe = replace(RECIPES[0], task=Composed(task)).completed()
    assert recipe.task.keywords
    assert Recipe.from_json(recipe.to_json(), SOURCE).completed() == recipe


@pytest.mark.parametrize("optimizer", members(LEARNED_OPTIMIZER))
def test_every_optimizer_survives_json_and_is_made_as_asked(optimizer):
    settings = Composed(optimizer).settings(LEARNED_OPTIMIZER)
    size = next(name for name in settings if name.endswith("size"))
    recipe = replace(RECIPES[0], optimizer=Composed(optimizer, {size: 7})).completed()
    assert Recipe.from_json(recipe.to_json(), SOURCE) == recipe
    made = make_optimizer(recipe.optimizer, jax.random.key(0))
    assert made.config()[size] == 7
    assert made.config().keys() == settings.keys()


@pytest.mark.parametrize(
    "task", sorted(set(members(TASK_FAMILY)) - {"image-conv", "character-model"})
)
def test_every_task_makes_its_family(task):
    family = make_family(Composed(task), "validation")
    assert isinstance(family, TaskFamily)
    assert family.title


def test_convolutional_networks_on_bundled_images():
    settings = {"dataset": "digits", "network": "two-layer-conv"}
    assert make_family(Composed("image-conv", settings), "validation").title


def test_reparameterization_wraps_the_family():
    family = make_family(Composed("quadratic", {"max_log_scale": 1.5}), "test")
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
        (lambda r: r["task"].update(batch_sise=1), r"expected a name and keywords"),
        (lambda r: r["task"].pop("name"), "expected a name and keywords"),
        (lambda r: r["task"].update(name=3), "expected str, got 3"),
        (lambda r: r["task"].update(keywords=3), "expected keywords, got 3"),
        (lambda r: r.update(task=3), r"expected a name and keywords, got 3 @ \$.task"),
        (lambda r: r.pop("optimizer"), "missing field optimizer"),
        (lambda r: r["training"].update(meta_steps="7"), "expected int, got '7'"),
        (lambda r: r["training"].update(meta_steps=7.5), "expected int, got 7.5"),
        (lambda r: r["training"].update(meta_steps=True), "expected int, got True"),
        (lambda r: r["training"].update(learning_rate="x"), "expected int or float, got 'x'"),
        (
            lambda r: r["training"].update(schedule="cosinus"),
            r"one of constant, cosine, exponential, got 'cosinus' \(did you mean 'cosine'\?\)",
        ),
        (lambda r: r["training"].update(meta_step=7), r"\(did you mean 'meta_steps'\?\)"),
        (lambda r: r["training"].update(estimator="exakt"), "keywords, got 'exakt' @ .*estimator"),
        (
            lambda r: r["training"].update(estimator={"name": "exact", "keyword": {}}),
            r"unknown field keyword \(did you mean 'keywords'\?\) @ \$.training.estimator",
        ),
        (
            lambda r: r["regularization"].update(regularizers=[{"nam": "hessian-norm"}]),
            r"unknown field nam \(did you mean 'name'\?\)",
        ),
        (lambda r: r["regularization"].update(regularizers={}), "expected a list, got {}"),
        (lambda r: r.update(training=3), r"\$.training"),
    ],
)
def test_every_mistake_in_json_ends_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        Recipe.from_json(edited(change), SOURCE)
    assert str(caught.value).startswith("recipe.json is no valid recipe: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["task"].update(name="ImageMPL"), "(?i)did you mean 'image-mlp'"),
        (lambda r: r["task"]["keywords"].update(batch_sise=1), "(?i)did you mean 'batch_size'"),
        (lambda r: r["task"]["keywords"].update(hidden=20), "hidden must be a list of integers"),
        (lambda r: r["training"]["estimator"].update(name="exakt"), "(?i)did you mean 'exact'"),
        (
            lambda r: r["training"].update(
                estimator={"name": "exact", "keywords": {"checkpiont": True}}
            ),
            "(?i)did you mean 'checkpoint'",
        ),
        (
            lambda r: r["regularization"].update(
                regularizers=[{"name": "hesian-norm", "keywords": {"weight": 0.1}}]
            ),
            "(?i)did you mean 'hessian-norm'",
        ),
        (
            lambda r: r["regularization"].update(
                regularizers=[
                    {"name": "hessian-norm", "keywords": {"weight": 0.1, "iterations": 3}}
                ]
            ),
            "(?i)a setting of hessian-norm must be one of",
        ),
    ],
)
def test_every_mistake_in_names_and_keywords_is_told_where_they_are_looked_up(
    change, message, tmp_path
):
    path = tmp_path / "recipe.json"
    path.write_text(edited(change))
    with pytest.raises(ValueError, match=message):
        find_recipe(str(path))


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
    assert find_recipe(str(path)) == RECIPES[1].completed()


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
    ("settings", "message"),
    [
        ({"objective_weight": 0.0}, "Nothing is left of the meta-loss"),
        ({"objective_weight": -1.0}, "objective_weight must be a finite"),
        ({"hessian-norm": {"weight": float("nan")}}, "weight of hessian-norm must be a finite"),
        ({"local-entropy": {"gamma": -1.0}}, "local-entropy: gamma must be a finite number"),
        ({"local-entropy": {"step_size": -1.0}}, "local-entropy: step_size must be a finite"),
        ({"expected-sharpness": {"sigma": -1.0}}, "expected-sharpness: sigma must be a finite"),
        ({"sam-sharpness": {"rho": -1.0}}, "sam-sharpness: rho must be a finite number"),
        ({"local-entropy": {"num_steps": 0}}, "local-entropy: num_steps must be at least 1"),
        ({"hessian-norm": {"num_iterations": 0}}, "num_iterations must be at least 1"),
        ({"hessian-norm": {"every": 21}}, "at most truncation, got 21 and 20"),
        ({"hessian-norm": {"every": 0}}, "hessian-norm: every must be at least 1"),
    ],
)
def test_regularization_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        build_regularizers(regularized(**settings))


def regularized(objective_weight=1.0, **regularizers):
    composed = [Composed(name, {"weight": 1.0} | given) for name, given in regularizers.items()]
    regularization = Regularization(objective_weight, tuple(composed))
    regularization.check(truncation=20)
    return regularization.completed()


@pytest.mark.parametrize("name", members(REGULARIZER))
def test_every_regularizer_alone_is_a_meta_loss(name):
    (regularizer,) = build_regularizers(regularized(objective_weight=0.0, **{name: {}}))
    assert float(regularizer.weight) == 1


def test_the_learning_rate_warms_up_and_falls():
    settings = TrainingSettings(
        meta_steps=110, learning_rate=1.0, schedule="cosine", warmup_steps=10
    )
    schedule = build_schedule(settings)
    assert schedule(0) == 0
    assert schedule(5) == pytest.approx(0.5)
    assert schedule(10) == pytest.approx(1.0)
    assert schedule(60) == pytest.approx(0.505)
    assert schedule(110) == pytest.approx(0.01)


def test_flat_names_every_setting():
    flat = replace(RECIPES[0], task=Composed("image-mlp", {"batch_size": 7})).flat()
    assert flat["task.keywords.batch_size"] == 7
    assert flat["task.name"] == "image-mlp"
    assert flat["seed"] == 0


def test_regularizers_are_built_as_asked():
    assert build_regularizers(Regularization()) == ()
    some = {
        "hessian-norm": {"weight": 0.1, "every": 5},
        "local-entropy": {"weight": 0.2},
        "held-out-loss": {"weight": 0.3},
        "sam-sharpness": {"weight": 0.0},
    }
    norm, entropy, held_out = build_regularizers(regularized(**some))
    assert isinstance(norm, HessianNorm)
    assert isinstance(entropy, LocalEntropy)
    assert isinstance(held_out, HeldOutLoss)
    weights = [float(each.weight) for each in (norm, entropy, held_out)]
    assert weights == pytest.approx([0.1, 0.2, 0.3])
    assert [each.every for each in (norm, entropy, held_out)] == [5, 1, 1]
    some["hessian-norm"]["relative_to"] = "filters"
    relative, *_ = build_regularizers(regularized(**some))
    assert isinstance(relative, Relative)
    assert relative.scale is filter_norms


def test_flags_keep_the_order_of_regularizers_and_those_without_weight_do_not_count():
    some = {"sam-sharpness": {}, "hessian-norm": {}, "held-out-loss": {"weight": 0.0}}
    regularization = regularized(**some)
    names = [regularizer.name for regularizer in regularization.regularizers]
    assert names == ["sam-sharpness", "hessian-norm"]
    flags = regularizer_flags(regularization)
    assert with_regularizer_flags(regularization, flags) == regularization
    twice = Composed("hessian-norm", {"weight": 1.0})
    with pytest.raises(ValueError, match="hessian-norm"):
        Regularization(1.0, (twice, twice)).check(truncation=20)


# What the version before wrote, with an estimator, regularizers and other tasks.
EARLIER = {
    "task": {"kind": "ImageMLP", "hidden": [3], "max_log_scale": 0.5},
    "optimizer": {"kind": "RNNProp", "hidden_size": 4, "decay": 0.9, "max_step": 0.1},
    "training": {"estimator": "exact-stored"},
    "regularization": {
        "objective_weight": 0.0,
        "hessian_norm": 0.1,
        "hessian_trace": 0.0,
        "local_entropy": 0.0,
        "expected_sharpness": 2.0,
        "sam_sharpness": 0.0,
        "held_out_loss": 1.0,
        "regularize_every": 5,
        "relative_to": "tensors",
        "hessian_iterations": 7,
        "sharpness_sigma": 0.3,
    },
}


def test_recipes_of_the_version_before_are_read():
    content = RECIPES[0].as_dict() | EARLIER
    content["training"] = RECIPES[0].as_dict()["training"] | EARLIER["training"]
    content["evaluation"]["other_tasks"] = [{"kind": "Quadratic", "dimension": 2}]
    recipe = Recipe.from_json(json.dumps(content), SOURCE).completed()
    assert recipe.task.name == "image-mlp"
    assert recipe.task.keywords["hidden"] == (3,)
    assert recipe.task.keywords["max_log_scale"] == 0.5
    assert recipe.optimizer == Composed(
        "RNNProp", {"hidden_size": 4, "decay": 0.9, "max_step": 0.1}
    )
    assert recipe.training.estimator == Composed("exact", {"checkpoint": False})
    assert recipe.evaluation.other_tasks[0].name == "quadratic"
    norm, sharpness, held_out = build_regularizers(recipe.regularization)
    assert isinstance(norm, Relative)
    assert norm.scale is parameter_sizes
    assert norm.regularizer.num_iterations == 7
    assert sharpness.regularizer.sigma == 0.3
    assert isinstance(held_out, HeldOutLoss)
    assert [each.every for each in (norm, sharpness, held_out)] == [5, 5, 5]
    assert recipe.regularization.objective_weight == 0


@pytest.mark.parametrize("kind", ["CharacterModel", "Attributes", "OverlaidPairs", "TwoMoons"])
def test_kinds_of_the_version_before_are_names_of_this_one(kind):
    assert find_member(TASK_FAMILY, kind)


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
        canonical((build_meta_optimizer(each), build_imitation(each), build_objective(each)))
        for each in (
            TrainingSettings(**settings),
            TrainingSettings(**settings),
            TrainingSettings(**settings, learning_rate=0.5),
        )
    )
    assert jax.tree.structure(made) == jax.tree.structure(again)
    assert jax.tree.leaves(made) == jax.tree.leaves(again)
    assert jax.tree.leaves(made) != jax.tree.leaves(other)


def test_settings_have_the_defaults_of_metatrain():
    """Flags must be there without JAX, so that the whole numbers stand twice."""
    keywords = inspect.signature(metatrain).parameters
    shared = {
        field.name: (field.default, keywords[field.name].default)
        for field in fields(TrainingSettings)
        if field.name in keywords and type(keywords[field.name].default) is int
    }
    assert len(shared) == 6
    assert all(here == there for here, there in shared.values()), shared
