"""Nonsense in any field, by flag, recipe or weights, ends in one sentence or in what can be built.

The fields are those of the classes, so that new ones are covered.
"""

import json
import traceback
import types
from copy import deepcopy
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal, Union, get_args, get_origin, get_type_hints

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import l2o
from l2o.cli import main
from l2o.cli.composed import (
    flags_of,
    regularizer_flags,
    with_flags,
    with_regularizer_flags,
)
from l2o.cli.flags import read_flags
from l2o.composition import (
    ESTIMATOR,
    LEARNED_OPTIMIZER,
    REGULARIZER,
    TASK_FAMILY,
    Composed,
    members,
)
from l2o.runs import (
    RECIPES,
    EvaluationSettings,
    Recipe,
    Regularization,
    TrainingSettings,
    find_hand_designed,
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

IN_JSON = {
    "NaN": float("nan"),
    "-Infinity": -float("inf"),
    "1e999": float("inf"),
    "-1": -1,
    "-0.5": -0.5,
    "0": 0,
    "1e300": 1e300,
    "1" + 20 * "0": 10**20,
    "2147483648": 2**31,
    "true": True,
    '"text"': "text",
    '"0.9"': "0.9",
    "null": None,
    "[]": [],
    "[1]": [1],
    "{}": {},
}
AS_FLAGS = {
    "nan": "NaN",
    "-inf": "-Infinity",
    **{text: text for text in IN_JSON if text[0] in "-012" and text != "-Infinity"},
}
NO_NUMBERS = ("True", "text", "None", "", "[]", "{}")

KINDS = {"task": TASK_FAMILY, "optimizer": LEARNED_OPTIMIZER, "regularizer": REGULARIZER}
GIVEN = {
    "image-conv": {"dataset": "digits", "network": "two-layer-conv"},
    **{name: {"weight": 1.0} for name in members(REGULARIZER)},
}
OPTIMIZERS = tuple(
    Composed(name).completed(LEARNED_OPTIMIZER) for name in members(LEARNED_OPTIMIZER)
)
PLACES = {
    **{
        place: tuple(Composed(name, GIVEN.get(name, {})).completed(kind) for name in members(kind))
        for place, kind in KINDS.items()
    },
    "training": (TrainingSettings(),),
    "evaluation": (EvaluationSettings(),),
}
# Logarithms are all that may be negative.
MAY_BE_NEGATIVE = {"log10_eigenvalues"}


def types_of(place, settings):
    """The types of all settings by name, but of those that are made of others."""
    if place in KINDS:
        known = settings.settings(KINDS[place])
        return {name: setting.type for name, setting in known.items()}
    hints = get_type_hints(type(settings))
    return {
        field.name: hints[field.name]
        for field in fields(settings)
        if field.name not in ("estimator", "other_tasks")
    }


def all_fields():
    for place, all_settings in PLACES.items():
        for settings in all_settings:
            owner = getattr(settings, "name", type(settings).__name__)
            for name, hint in types_of(place, settings).items():
                yield pytest.param(place, settings, name, hint, id=f"{owner}.{name}")


def options(hint):
    """The alternatives that a type is made of."""
    is_union = get_origin(hint) in (Union, types.UnionType)
    return get_args(hint) if is_union else (hint,)


def is_nonsense(name, hint, value):
    """Whether nothing sensible can be meant, as far as the type tells."""
    kinds = options(hint)
    is_list = any(get_origin(kind) is tuple and Ellipsis in get_args(kind) for kind in kinds)
    match value:
        case None:
            return types.NoneType not in kinds
        case bool():
            return bool not in kinds
        case int() | float() if int in kinds or float in kinds:
            is_out_of_range = not abs(value) < (1e39 if float in kinds else 2**31)
            is_negative = value < 0 and name not in MAY_BE_NEGATIVE
            is_broken = float not in kinds and not isinstance(value, int)
            return is_out_of_range or is_negative or is_broken
        case str():
            return str not in kinds and value not in get_args(hint)
        case list():
            return not is_list
    return True


@pytest.fixture(scope="module", autouse=True)
def text_to_learn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "tinyshakespeare.txt").write_text("To be, or not to be. " * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2O_DATA", str(folder))
        yield


@cache
def build(place, settings):
    """Checks and builds all of it, with descriptions in place of arrays."""
    key = jax.random.key(0)
    if place == "task":
        family = make_family(settings, "validation")

        def loss(family):
            task = family.sample(key)
            return task.value(task.init(key), task.sample(key))

        eqx.filter_eval_shape(loss, family)
        assert family.title
    elif place == "optimizer":
        optimizer = eqx.filter_eval_shape(partial(make_optimizer, settings), key)
        keywords = settings.keywords
        leading = (keywords["num_objectives"],) if "num_objectives" in keywords else ()

        def step(optimizer):
            params, grads = jnp.zeros(3), jnp.zeros((*leading, 3))
            return optimizer.update(grads, optimizer.init(params), params, value=jnp.ones(leading))

        eqx.filter_eval_shape(step, optimizer)
        assert optimizer.title
    elif place == "training":
        settings.check()
        build_objective(settings)
        settings.estimator.make(ESTIMATOR)
        build_imitation(settings)
        jax.eval_shape(build_meta_optimizer(settings).init, jnp.zeros(2))
        for step in (0, settings.warmup_steps, settings.meta_steps):
            assert 0 <= build_schedule(settings)(step) < jnp.inf
    elif place == "regularizer":
        regularization = Regularization(1.0, (settings,))
        regularization.check(truncation=20)
        build_regularizers(regularization)
    else:
        settings.check()
        for name in settings.baselines:
            find_hand_designed(name, 2)


def outcome(function, *, is_one_sentence=True):
    """What is said of nonsense, which must be a sentence of ours; `None` if all is well."""
    try:
        function()
    except ValueError as error:
        said = str(error)
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    else:
        return None
    assert frame.f_globals["__name__"].startswith("l2o."), f"not told by us: {said}"
    if is_one_sentence:
        assert "\n" not in said
        assert said.endswith(".")
    return said


def recipe_text(place, settings, name, value):
    """A recipe as JSON, with something else in one of its fields."""
    base = replace(RECIPES[0], evaluation=EvaluationSettings())
    if place == "regularizer":
        base = replace(base, regularization=Regularization(1.0, (settings,)))
        content = base.as_dict()
        content["regularization"]["regularizers"][0]["keywords"][name] = "PLACEHOLDER"
    else:
        content = replace(base, **{place: settings}).as_dict()
        target = content[place]["keywords"] if place in KINDS else content[place]
        target[name] = "PLACEHOLDER"
    return json.dumps(content).replace('"PLACEHOLDER"', value)


def out_of(recipe, place):
    """What stands at a place of a recipe."""
    if place == "regularizer":
        return recipe.regularization.regularizers[0]
    return getattr(recipe, place)


@pytest.mark.parametrize(("place", "settings", "name", "hint"), all_fields())
def test_in_a_recipe(place, settings, name, hint):
    wrong = []
    for text, value in IN_JSON.items():

        def read(text=text):
            written = recipe_text(place, settings, name, text)
            recipe = Recipe.from_json(written, Path("x.json")).completed()
            # A regularizer without weight is none.
            if place != "regularizer" or recipe.regularization.regularizers:
                build(place, out_of(recipe, place))

        try:
            said = outcome(read)
        except Exception as error:
            wrong.append(f"{text}: {type(error).__name__} {str(error)[:200]}")
            continue
        if said is None and is_nonsense(name, hint, value):
            wrong.append(f"{text}: accepted")
    assert not wrong


def read(place, settings, words):
    """Settings out of flags."""
    if place == "regularizer":
        flags = regularizer_flags(Regularization(1.0, (settings,)))
        given = read_flags(type(flags), words, prog="l2o", default=flags)
        (regularizer,) = with_regularizer_flags(Regularization(), given).regularizers or [settings]
        return regularizer
    if place in KINDS:
        flags = flags_of(settings, KINDS[place], set())
        given = read_flags(type(flags), words, prog="l2o", default=flags)
        return with_flags(settings, KINDS[place], given)
    return read_flags(type(settings), words, prog="l2o", default=settings)


@pytest.mark.parametrize(("place", "settings", "name", "hint"), all_fields())
def test_as_a_flag(place, settings, name, hint):
    if place == "regularizer":
        name_of_flag = settings.name if name == "weight" else f"{settings.name}.{name}"
    else:
        name_of_flag = name
    flag = "--" + name_of_flag.replace("_", "-")
    arguments = [[flag, text] for text in (*AS_FLAGS, *NO_NUMBERS)] + [[flag]]
    if bool in options(hint):
        arguments = [[flag, "text"]]
    has = settings.keywords if place in KINDS else vars(settings)
    count = len(has[name]) if get_origin(hint) is tuple else 1
    if get_origin(hint) is tuple and Ellipsis not in get_args(hint):
        arguments = [[flag, *[text] * count] for _, *texts in arguments for text in texts]
    wrong, code = [], 2
    for words in arguments:

        def build_read(words=words):
            build(place, read(place, settings, words))

        text = " ".join(words[1:])
        try:
            said = outcome(build_read)
        except SystemExit as exit_:
            said, code = "by tyro", exit_.code
        except Exception as error:
            wrong.append(f"{text!r}: {type(error).__name__} {str(error)[:200]}")
            continue
        assert code == 2
        is_number = int in options(hint) or float in options(hint)
        is_junk = text in AS_FLAGS and is_nonsense(name, hint, json.loads(AS_FLAGS[text]))
        if said is None and is_number and is_junk:
            wrong.append(f"{text!r}: accepted")
    assert not wrong


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with the weights of every architecture, and its config."""
    folders = {}
    for settings in OPTIMIZERS:
        folder = tmp_path_factory.mktemp(settings.name)
        sizes = {name: 2 for name in settings.keywords if name.endswith("_size")}
        l2o.save(make_optimizer(settings.but(**sizes), jax.random.key(0)), folder)
        config = json.loads((folder / "config.json").read_text())
        # Which any change would be at odds with.
        del config["sha256 of all else and the tensors"]
        folders[settings.name] = folder, config
    return folders


@pytest.mark.parametrize(
    ("place", "settings", "name", "hint"),
    [each for each in all_fields() if each.values[0] == "optimizer"],
)
def test_beside_weights(place, settings, name, hint, weights, tmp_path):
    del place
    folder, config = deepcopy(weights[settings.name])
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    config["optimizer"]["keywords"][name] = "PLACEHOLDER"
    written = json.dumps(config)
    wrong = []
    for text, value in IN_JSON.items():
        (tmp_path / "config.json").write_text(written.replace('"PLACEHOLDER"', text))
        try:
            # In tests, types of arguments are checked before us, in more than a sentence.
            said = outcome(lambda: l2o.load(tmp_path), is_one_sentence=False)
        except Exception as error:
            wrong.append(f"{text}: {type(error).__name__} {str(error)[:200]}")
            continue
        if said is None and is_nonsense(name, hint, value):
            wrong.append(f"{text}: accepted")
    assert not wrong


@pytest.mark.parametrize(
    "words",
    [
        ["--learning-rate", "nan"],
        ["--meta-steps", "1" + 20 * "0"],
        ["--hidden", "0"],
        ["--init-std", "-1"],
        ["--local-entropy", "1", "--local-entropy.step-size", "inf"],
        ["--evaluation.num-tasks", "-1"],
        ["--evaluation.baselines", "adam", "adam"],
        ["--evaluation.longer-steps", "text"],
    ],
)
def test_the_command_line_writes_nothing(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "demo", *words]) == 2
    captured = capsys.readouterr()
    assert words[0].removeprefix("--").split(".")[-1].replace("-", "_")[:6] in captured.err.replace(
        "-", "_"
    )
    assert "Traceback" not in captured.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "-1"])
def test_a_recipe_file_writes_nothing(text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.json"
    path.write_text(recipe_text("task", Composed("quadratic"), "max_log_scale", text))
    assert main(["train", str(path), "--out", "run"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_literals_are_among_the_types():
    """Or else `is_nonsense` would take everything for right."""
    hints = get_type_hints(TrainingSettings)
    assert get_origin(hints["schedule"]) is Literal
    assert is_nonsense("schedule", hints["schedule"], "text")
    assert not is_nonsense("schedule", hints["schedule"], "cosine")
    assert is_nonsense("b1", hints["b1"], float("nan"))
    assert is_nonsense("clip_norm", hints["clip_norm"], [1])
    assert not is_nonsense("clip_norm", hints["clip_norm"], None)
    assert is_nonsense("meta_steps", hints["meta_steps"], 2**31)
