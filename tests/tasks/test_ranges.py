"""No constructor takes numbers that make no sense, whoever calls it."""

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from l2o.multiobjective.problems import ConflictingQuadraticsFamily
from l2o.objectives import MeanLogRatio
from l2o.tasks import (
    MLP,
    CharacterLanguageModelFamily,
    ConvNet,
    Convolution,
    ImageClassification,
    ImageClassificationFamily,
    Lasso,
    LassoFamily,
    LeastSquaresFamily,
    LogisticRegression,
    LogisticRegressionFamily,
    MLPFamily,
    MultiTaskFamily,
    MultiTaskNetwork,
    Quadratic,
    QuadraticFamily,
    Rastrigin,
    RastriginFamily,
    ReparameterizedFamily,
    Rosenbrock,
    SingleTask,
    TwoMoons,
    TwoMoonsFamily,
)
from l2o.tasks.datasets import Classification, Text, digit_attributes, overlaid_pairs

IMAGES = Classification(
    *[array for _ in range(3) for array in (jnp.zeros((30, 6, 6, 1)), jnp.arange(30) % 2)],
    num_classes=2,
    name="blank",
)
POINTS = Classification(
    *[array for _ in range(3) for array in (jnp.zeros((4, 3)), jnp.arange(4) % 2)],
    num_classes=2,
    name="points",
)
TEXT = Text.from_string("text", "abcd" * 100)
PAIRS = overlaid_pairs(IMAGES, pairs_per_image=1)
HEADS = (MLP((3, 2)), MLP((3, 2)))


def convolution(channels=2, kernel=3, stride=1):
    return ConvNet((6, 6, 1), (Convolution(channels, kernel, stride),), 2)


def layers(maker, inputs=3, hidden=3, outputs=2):
    return maker((inputs, hidden, outputs))


SIZES = [
    (QuadraticFamily, "dimension"),
    (LeastSquaresFamily, "num_rows"),
    (LeastSquaresFamily, "dimension"),
    (LassoFamily, "num_rows"),
    (LassoFamily, "dimension"),
    (RastriginFamily, "dimension"),
    (Rosenbrock, "dimension"),
    (LogisticRegressionFamily, "num_points"),
    (LogisticRegressionFamily, "dimension"),
    (partial(ConflictingQuadraticsFamily, dimension=2), "num_quadratics"),
    (partial(ConflictingQuadraticsFamily, num_quadratics=2), "dimension"),
    (partial(ImageClassification, IMAGES, MLP((36, 2))), "batch_size"),
    (partial(ImageClassificationFamily, IMAGES, MLP((36, 2))), "batch_size"),
    (partial(ImageClassificationFamily, IMAGES, MLP((36, 2))), "num_train"),
    (partial(ImageClassificationFamily, IMAGES, MLP((36, 2))), "num_held_out"),
    (partial(CharacterLanguageModelFamily, TEXT, MLPFamily((8, 4))), "context"),
    (partial(CharacterLanguageModelFamily, TEXT, MLPFamily((8, 4))), "batch_size"),
    (partial(MultiTaskNetwork, PAIRS, MLP((64, 3)), HEADS), "batch_size"),
    (partial(MultiTaskFamily, PAIRS, MLP((64, 3)), HEADS), "batch_size"),
    (partial(overlaid_pairs, IMAGES), "pairs_per_image"),
    (partial(MLPFamily, (3, 3, 2)), "min_width"),
    (convolution, "channels"),
    (convolution, "kernel"),
    (convolution, "stride"),
    (partial(ConvNet, (6, 6, 1), (Convolution(2, 3, 1),)), "num_outputs"),
    *(
        (partial(layers, maker), name)
        for maker in (MLP, MLPFamily)
        for name in ("inputs", "hidden")
    ),
]

ONE = jnp.ones((1, 1))
AT_LEAST_ZERO = [
    (partial(Lasso, ONE, jnp.ones(1)), "l1_penalty"),
    (LassoFamily, "l1_penalty"),
    (partial(Rastrigin, ONE, jnp.ones(1), jnp.ones(1)), "amplitude"),
    (RastriginFamily, "amplitude"),
    (partial(LogisticRegression, POINTS), "l2_penalty"),
    (LogisticRegressionFamily, "l2_penalty"),
    (partial(TwoMoons, POINTS), "l2_penalty"),
    (partial(TwoMoonsFamily, POINTS), "l2_penalty"),
    (partial(ImageClassificationFamily, IMAGES, MLP((36, 2))), "weight_decay"),
    (partial(ImageClassificationFamily, IMAGES, MLP((36, 2))), "label_smoothing"),
    (partial(ConflictingQuadraticsFamily, 2, 2), "max_log_factor"),
    (partial(ReparameterizedFamily, SingleTask(Quadratic(ONE, jnp.ones(1)))), "max_log_scale"),
    (partial(MLPFamily, (3, 3, 2)), "max_log_init_scale"),
    (partial(digit_attributes, IMAGES), "missing"),
]

OTHER = [
    (partial(MLP, (3, 2)), "init_std", 0.0),
    (partial(MLPFamily, (3, 2)), "init_std", 0.0),
    (partial(ConvNet, (6, 6, 1), (Convolution(2, 3, 1),), 2), "init_std", 0.0),
    (MeanLogRatio, "offset", 0.0),
    (partial(ConflictingQuadraticsFamily, 2, 2), "max_condition", 0.5),
    (partial(ImageClassificationFamily, IMAGES, MLP((36, 2))), "label_smoothing", 1.0),
    (partial(digit_attributes, IMAGES), "missing", 1.0),
    (partial(ConflictingQuadraticsFamily, 2, 2), "max_log_factor", 41.0),
    (partial(MLPFamily, (3, 3, 2)), "max_log_init_scale", 41.0),
    (
        partial(ReparameterizedFamily, SingleTask(Quadratic(ONE, jnp.ones(1)))),
        "max_log_scale",
        89.0,
    ),
    (partial(overlaid_pairs, IMAGES), "pairs_per_image", 30),
]


@pytest.mark.parametrize("value", [0, -1, 2**31, 10**20])
@pytest.mark.parametrize(("make", "name"), SIZES)
def test_sizes(make, name, value):
    with pytest.raises(ValueError, match=rf"must be at (least|most) \d+, got {value}\.$"):
        make(**{name: value})


@pytest.mark.parametrize("value", [-1.0, -1e-30, math.nan, math.inf, -math.inf, 1e39])
@pytest.mark.parametrize(("make", "name"), AT_LEAST_ZERO)
def test_numbers_from_zero_on(make, name, value):
    with pytest.raises(ValueError, match=f"{name} must be a finite number of at least 0"):
        make(**{name: value})
    make(**{name: 0.0})


@pytest.mark.parametrize(("make", "name", "value"), OTHER)
def test_other_ranges(make, name, value):
    for junk in (value, -1.0, math.nan, math.inf):
        if not (isinstance(value, int) and junk is not value):
            with pytest.raises(ValueError, match=f"{name} must be"):
                make(**{name: junk})


@pytest.mark.parametrize(
    "bounds", [(math.nan, 0.0), (0.0, math.inf), (-19.0, 0.0), (0.0, 19.0), (0.0, -1.0)]
)
def test_eigenvalues(bounds):
    with pytest.raises(ValueError, match="log10_eigenvalues"):
        QuadraticFamily(3, bounds)


def test_limits_are_still_numbers():
    """What is allowed gives losses and gradients that are numbers."""
    scale = np.float32(np.exp(np.float32(40.0)))
    assert np.isfinite(scale * scale)
    assert np.isfinite(np.float32(10.0) ** np.float32(18) * np.float32(10.0) ** np.float32(18))
