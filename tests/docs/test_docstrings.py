"""Every public class and function has an example in its docstring, which gives what it says.

Names that examples take for granted: `jax`, `jnp`, `np`, `optax` and `l2o`.
"""

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import l2o

pytestmark = pytest.mark.usefixtures("quick_compilation")

HOOKS = Path(__file__).parents[2] / "docs" / "hooks.py"
GIVEN = {"jax": jax, "jnp": jnp, "np": np, "optax": optax, "l2o": l2o}
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?(?![\w])")

# Records that a function gives back are shown where it is: by its example.
GIVEN_BY = {
    "l2o.evaluation.tune": ["Tuned"],
    "l2o.evaluation.draw_tasks": ["Draw"],
    "l2o.evaluation.paired_difference": ["PairedDifference"],
    "l2o.flatness.lanczos": ["RitzPairs"],
    "l2o.flatness.loss_surface": ["LossSurface"],
    "l2o.flatness.spectral_density": ["SpectralDensity"],
    "l2o.inner_loop.unroll": ["Trajectory", "Step", "InnerState"],
    "l2o.mechanisms.explain": ["Explanation", "Inapplicable", "LinearResponse", "StateSpace"],
    "l2o.mechanisms.update_function": ["UpdateFunction", "Saturation"],
    "l2o.mechanisms.adaptation_curve": ["AdaptationCurve"],
    "l2o.mechanisms.coordinate_dynamics": ["Dynamics"],
    "l2o.mechanisms.find_mechanisms": ["Mechanisms"],
    "l2o.mechanisms.find_fixed_points": ["FixedPoints"],
    "l2o.mechanisms.linearize": ["Linearization"],
    "l2o.mechanisms.momentum_modes": ["Mode"],
    "l2o.mechanisms.autonomous_schedule": ["Schedule", "CarryingMode"],
    "l2o.mechanisms.principal_components": ["PrincipalComponents"],
    "l2o.mechanisms.record_gradients": ["GradientRecord"],
    "l2o.mechanisms.distill": ["Distilled", "DistilledOptimizer"],
    "l2o.metatraining.metatrain": ["MetaTrainingResult", "Progress"],
    "l2o.metatraining.check_metatraining": ["Footprint"],
    "l2o.multiobjective.aggregate": ["AggregateState"],
    "l2o.multiobjective.behind_weighting": ["BehindWeighting"],
    "l2o.multiobjective.common_descent": ["CommonDescent"],
    "l2o.multiobjective.gramian": ["Gramian"],
    "l2o.multiobjective.linearized": ["LinearizedGradients"],
    "l2o.multiobjective.stacked": ["StackedGradients"],
    "l2o.multiobjective.trunk_split": ["TrunkSplitGradients"],
    "l2o.multiobjective.guard": ["Guarded", "GuardState", "FallbackState"],
    "l2o.multiobjective.guard_at_intervals": ["PeriodicallyGuarded", "PeriodicGuardState"],
    "l2o.multiobjective.ML2O": ["ML2OState"],
    "l2o.multiobjective.PlainML2O": ["PlainML2OState"],
    "l2o.optimizers.RNNProp": ["CoordinatewiseState", "RecurrentState"],
    "l2o.optimizers.per_task": ["PerTask"],
    "l2o.report.judge": ["Verdict"],
}
# What only others are made of has its example with one of those.
BASE_OF = {
    "l2o.metatraining.FirstOrder": ["MetaGradientEstimator", "BackPropagation"],
    "l2o.metatraining.SAMSharpness": ["Regularizer"],
    "l2o.multiobjective.stacked": ["Gradients"],
    "l2o.multiobjective.SufficientDecrease": ["GuardRule"],
    "l2o.multiobjective.MoDo": ["StatefulWeighting"],
    "l2o.multiobjective.problems.bk1": ["Problem"],
    "l2o.optimizers.RNNProp": ["CoordinatewiseOptimizer", "RecurrentOptimizer"],
    "l2o.optimizers.Uniform": ["SearchRange"],
    "l2o.tasks.MLP": ["Network"],
    "l2o.tasks.datasets.Numbers": ["Target"],
}
WITHOUT = {
    "they need data that do not come along": {
        "l2o.tasks": ["cifar_conv", "four_layer_conv", "mnist_conv"],
        "l2o.tasks.datasets": [
            *("image_folder", "mnist", "cifar10", "data_folder", "read_idx", "tiny_shakespeare"),
            "DataError",
        ],
    },
    "docs show them, since they take long or many arguments": {
        "l2o.metatraining": [
            *("metatrain_on_curriculum", "CurriculumResult", "coordinate_gradient"),
            *("Window", "WindowGradient", "InnerProblems", "MetaGradient", "Relative"),
        ],
        "l2o.optimizers": ["SplitCoordinates", "as_recurrent"],
        "l2o.runs": [
            *("train", "evaluate", "explain", "measure_flatness", "distill", "tune_baseline"),
            *("RunFlatness", "DistillationFolder", "ExplanationFolder", "FlatnessFolder"),
            *("Recipe", "TrainingSettings", "EvaluationSettings", "EvaluationChanges"),
            *("Regularization", "ComparisonProgress", "read_recipe", "training_differences"),
            *("find_recipe", "check_hand_designed", "check_subjects", "num_cores", "set_up_jax"),
        ],
        "l2o.report": [
            *("Distillation", "Score", "Subject", "tuned_as_dict"),
            *("write_explanation", "write_flatness", "write_report"),
        ],
    },
}


def public_names():
    """All public classes and functions by their full names."""
    # The hooks of the site know what is public; they import it for the types alone.
    text = re.sub(r"^from mkdocs.*$", "", HOOKS.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^(def on_\w+)\(.*?\) -> .*?:$", r"\1(*_):", text, flags=re.MULTILINE)
    hooks = {"__file__": str(HOOKS)}
    exec(compile(text, str(HOOKS), "exec"), hooks)
    rooms = hooks["public_rooms"]()
    found = {}
    for room, names in rooms.items():
        for name in names:
            value = getattr(importlib.import_module(room), name)
            own = getattr(value, "__module__", "").startswith("l2o.")
            # No instances, and no names of types.
            if own and (inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value))):
                found[f"{room}.{name}"] = value
    return found


PUBLIC = public_names()


def examples_of(value):
    """The examples of a docstring; fences around them are for the site."""
    text = re.sub(r"^```.*$", "", inspect.getdoc(value) or "", flags=re.MULTILINE)
    return doctest.DocTestParser().get_examples(text)


def has_example(value):
    # A class has those of its own alone, none of its bases'.
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    return ">>>" in (own or "")


class Checker(doctest.OutputChecker):
    """Numbers need agree to three digits, since processors and versions differ in the last."""

    def check_output(self, want, got, optionflags):
        same = super().check_output(NUMBER.sub("#", want), NUMBER.sub("#", got), optionflags)
        numbers = [np.array(NUMBER.findall(text), float) for text in (want, got)]
        return same and np.allclose(*numbers, rtol=2e-3, atol=1e-6)


WITH_EXAMPLE = [name for name, value in PUBLIC.items() if has_example(value)]


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_an_example_gives_what_it_says(name):
    value = PUBLIC[name]
    # In the module that it is in, names may be taken from there: helpers that no face has.
    test = doctest.DocTest(examples_of(value), dict(GIVEN), name, None, None, None)
    assert test.examples
    shown = []
    runner = doctest.DocTestRunner(Checker(), optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=shown.append)
    assert not shown, "".join(shown)


def test_every_public_class_and_function_has_an_example():
    excused = {
        f"{shower.rpartition('.')[0]}.{name}"
        for shown in (GIVEN_BY, BASE_OF)
        for shower, names in shown.items()
        for name in names
    }
    excused |= {
        f"{room}.{name}"
        for rooms in WITHOUT.values()
        for room, names in rooms.items()
        for name in names
    }
    without = PUBLIC.keys() - set(WITH_EXAMPLE)
    assert sorted(without - excused) == [], " ".join(sorted(without - excused))
    # The lists say of nothing that has one, or is not there.
    assert sorted(excused - without) == []
    assert sorted({*GIVEN_BY, *BASE_OF} - set(WITH_EXAMPLE)) == []
