"""Ranges of settings: the same sentence from a constructor and from a saved config."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.optimizers import (
    ALL_HAND_DESIGNED,
    HandDesigned,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
    adagrad,
    adam,
    adamw,
    settings,
    sgd,
)

# In a process of its own, where nothing checks types before the constructors do.
FUZZ = """
import json, math, pathlib, resource, sys, tempfile
import jax
import l2o
from l2o import multiobjective, optimizers

KEY = jax.random.key(0)
NUMBERS = [math.nan, math.inf, -math.inf, -1, 10**400, 1e300]
SIZE = [0, 2.0, 10**9, 2**31, 2**63]
JUNK = [None, "0.9", "", [1], {}, True, *NUMBERS]
SPECIAL = {"input_features": [None, "", "Raw", ["raw"], {}, 1, True],
           "last_tensor_only": [None, "true", 0, 1.0, [True]]}
EXTRA = {"decay": [1, 2, 1.0, 1 - 1e-12], "hidden_size": SIZE, "max_step": [0, 1e-60],
         "steepness": [0, 100.0], "initial_step": [0, 1e-60], "input_scale": [0],
         "output_scale": [0], "num_objectives": [*SIZE, 5000],
         "coordinate_size": SIZE, "tensor_size": SIZE, "global_size": SIZE}
KINDS = [optimizers.DM, optimizers.RNNProp, optimizers.GRU, optimizers.Hierarchical,
         multiobjective.ML2O, multiobjective.PlainML2O]
folder = pathlib.Path(tempfile.mkdtemp())
wrong, tried = [], 0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for kind in KINDS:
    good = kind(2, key=KEY) if kind is optimizers.GRU else kind(key=KEY)
    l2o.save(good, folder)
    config = json.loads((folder / "config.json").read_text())
    for name in good.config():
        for value in SPECIAL.get(name, JUNK + EXTRA.get(name, [])):
            config["arguments"] = good.config() | {name: value}
            (folder / "config.json").write_text(json.dumps(config))
            for attempt in (lambda: kind(**config["arguments"], key=KEY), lambda: l2o.load(folder)):
                tried += 1
                try:
                    attempt()
                except ValueError as error:
                    # What no JSON has is found before it is known whose number it is.
                    told = name in str(error) or "config.json " in str(error)
                    if not told or "\\n" in str(error):
                        wrong.append((kind.__name__, name, repr(value)[:30], str(error)[:200]))
                except BaseException as error:
                    wrong.append((kind.__name__, name, repr(value)[:30], repr(error)[:200]))
                else:
                    wrong.append((kind.__name__, name, repr(value)[:30], "accepted"))
for baseline in optimizers.ALL_HAND_DESIGNED:
    for name in baseline.space:
        for value in [*JUNK, jax.numpy.ones(2), 1j]:
            tried += 1
            try:
                baseline.with_hyperparameters(**{name: value})
            except ValueError as error:
                if f"{baseline.name}'s {name}" not in str(error):
                    wrong.append((baseline.name, name, repr(value)[:30], str(error)[:200]))
            else:
                wrong.append((baseline.name, name, repr(value)[:30], "accepted"))
for range_of in (optimizers.Uniform, optimizers.LogUniform, optimizers.OneMinusLogUniform):
    for end in [value for value in JUNK if value != -1]:
        for ends in ((0.5, end), (end, 0.9)):
            tried += 1
            try:
                range_of(*ends)
                wrong.append((range_of.__name__, repr(ends), "accepted"))
            except ValueError:
                pass
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps({"wrong": wrong, "tried": tried, "grown": grown}))
"""


def test_nonsense_is_refused_by_constructors_and_by_load_alike():
    run = subprocess.run([sys.executable, "-c", FUZZ], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["wrong"] == []
    assert told["tried"] > 500
    # Megabytes; the smallest of the absurd sizes would take gigabytes.
    assert told["grown"] < 500


def test_ranges_by_hand():
    assert settings.size("n", np.int64(3)) == 3
    assert type(settings.size("n", np.int64(3))) is int
    assert settings.decay("d", 0) == 0.0
    assert settings.decay("d", np.float32(0.5)) == 0.5
    assert type(settings.factor("f", np.float32(0.5))) is float
    # One minus the largest decay is above zero in single precision.
    assert 1 - np.float32(settings.LARGEST_DECAY) > 0
    assert np.isfinite(np.exp(np.float32(80.0)))
    for check, value in (
        (settings.size, 0),
        (settings.size, settings.LARGEST_SIZE + 1),
        (settings.decay, 1.0),
        (settings.decay, -1e-9),
        (settings.factor, 0.0),
        (settings.factor, 1e31),
        (settings.steepness, 0.0),
        (settings.steepness, 81.0),
        (settings.switch, 1),
    ):
        with pytest.raises(ValueError, match=r"^name must be"):
            check("name", value)
    for check, value in (
        (settings.size, 1),
        (settings.size, settings.LARGEST_SIZE),
        (settings.decay, settings.LARGEST_DECAY),
        (settings.factor, 1e-30),
        (settings.factor, 1e30),
        (settings.steepness, 80.0),
        (settings.switch, False),
    ):
        assert check("name", value) == value


NONSENSE = [float("nan"), float("inf"), -1.0, True, 1e300, jnp.float32(jnp.inf)]


@pytest.mark.parametrize("hand_designed", ALL_HAND_DESIGNED, ids=lambda x: x.name)
def test_hyperparameters_out_of_range_are_refused(hand_designed):
    for name, searched in hand_designed.space.items():
        decays = isinstance(searched, OneMinusLogUniform)
        for value in [*NONSENSE, *([1.0, 2.0, 1 - 1e-12] if decays else [])]:
            message = rf"^{hand_designed.name}'s {name} must be a (finite )?number"
            with pytest.raises(ValueError, match=message):
                hand_designed.with_hyperparameters(**{name: value})


@pytest.mark.parametrize(
    ("hand_designed", "values"),
    [
        (adamw, {"weight_decay": 0.0}),
        (adagrad, {"initial_accumulator_value": 0.0}),
        (adam, {"b1": 0.0, "b2": 0, "eps": 1e-20}),
        (sgd, {"learning_rate": 1e9}),
        (sgd, {"learning_rate": jnp.float32(0.5)}),
        (sgd, {"learning_rate": np.float32(0.5)}),
    ],
)
def test_ranges_to_search_are_no_bounds(hand_designed, values):
    assert hand_designed.with_hyperparameters(**values).transformation


def test_zero_is_refused_where_it_divides():
    with pytest.raises(ValueError, match="adam's eps must be a finite number above 0"):
        adam.with_hyperparameters(eps=0.0)


def test_equal_hyperparameters_make_one_program():
    compiled = []

    run = jax.jit(lambda optimizer, x: compiled.append(1) or optimizer.init(x))
    for rate in (0.1, jnp.float32(0.25), np.float64(0.1), 0.25):
        run(sgd.with_hyperparameters(learning_rate=rate), jnp.ones(2))
    assert len(compiled) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(-1e300, 2.0),
        lambda: LogUniform(1e-3, 1e300),
        lambda: OneMinusLogUniform(0.5, 1 - 1e-12),
        lambda: HandDesigned("mine", adam.build, {"b1": OneMinusLogUniform(0.1, 0.9)}, {"b1": 2.0}),
        lambda: HandDesigned("mine", sgd.build, {"r": LogUniform(0.1, 0.9)}, {"r": 0.0}),
    ],
)
def test_search_spaces_of_nonsense_are_refused(make):
    with pytest.raises(ValueError, match=r"search range must be|lies below one|must be a finite"):
        make()
