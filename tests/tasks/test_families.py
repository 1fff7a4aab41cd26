"""Families of tasks that are made of plain settings."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from l2o.multiobjective import problems
from l2o.multiobjective.problems import ConflictingQuadraticsFamily
from l2o.tasks import (
    MLP,
    CharacterLanguageModelFamily,
    ConvNet,
    Convolution,
    ImageClassification,
    ImageClassificationFamily,
    LassoFamily,
    LeastSquaresFamily,
    LogisticRegression,
    LogisticRegressionFamily,
    MLPFamily,
    MultiTaskFamily,
    QuadraticFamily,
    RastriginFamily,
    ReparameterizedFamily,
    Rosenbrock,
    SingleTask,
    Task,
    TaskFamily,
    TwoMoons,
    TwoMoonsFamily,
    attributes_family,
    breast_cancer_family,
    character_mlp,
    character_model_family,
    cifar_conv,
    datasets,
    families,
    four_layer_conv,
    image_conv_family,
    image_mlp,
    image_mlp_family,
    mnist_conv,
    multi_task_mlp_family,
    overlaid_pairs_family,
    rosenbrock_family,
    two_layer_conv,
    two_moons_family,
)

ALL = [
    make
    for module in (families, problems.families)
    for name, make in vars(module).items()
    if not name.startswith("_") and callable(make)
]


OLD_SETTINGS = {
    "ImageMLP": {
        "dataset": "digits",
        "hidden": (20,),
        "activations": ("relu",),
        "batch_size": 128,
        "init_std": None,
        "min_width": None,
        "max_log_init_scale": 0.0,
        "num_train": None,
        "num_held_out": None,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
    },
    "ImageConv": {
        "dataset": "mnist",
        "network": "mnist-conv",
        "batch_size": 128,
        "num_train": None,
        "num_held_out": None,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
    },
    "CharacterModel": {
        "hidden": (64,),
        "activation": "tanh",
        "context": 8,
        "embedding_size": 16,
        "batch_size": 128,
    },
    "TwoMoons": {
        "hidden": (64, 64, 64),
        "activation": "tanh",
        "l2_penalty": 0.005,
        "random_data": False,
    },
    "BreastCancer": {"l2_penalty": 0.0005},
    "LogisticRegression": {"num_points": 100, "dimension": 3, "l2_penalty": 0.0005},
    "Quadratic": {"dimension": 5, "log10_eigenvalues": (-3.0, 0.0)},
    "LeastSquares": {"num_rows": 20, "dimension": 10},
    "Lasso": {"num_rows": 5, "dimension": 10, "l1_penalty": 0.005},
    "Rosenbrock": {"dimension": 2},
    "Rastrigin": {"dimension": 10, "amplitude": 10.0},
    "OverlaidPairs": {
        "dataset": "digits",
        "pooling": 1,
        "hidden": (32,),
        "head_hidden": (),
        "activations": ("relu",),
        "batch_size": 64,
        "pairs_per_image": 4,
    },
    "Attributes": {
        "dataset": "digits",
        "pooling": 1,
        "hidden": (32,),
        "head_hidden": (),
        "activations": ("relu",),
        "batch_size": 64,
        "missing": 0.75,
    },
    "ConflictingQuadratics": {
        "num_quadratics": 2,
        "dimension": 10,
        "max_condition": 100.0,
        "max_log_factor": 2.0,
    },
}
"""What run folders of the first edition call a family, and the defaults of its settings."""


@pytest.mark.parametrize("kind", OLD_SETTINGS)
def test_settings_of_the_first_edition_are_keywords_with_the_same_defaults(kind):
    def short(name):
        return name.lower().replace("_", "").removesuffix("family")

    (make,) = [make for make in ALL if short(make.__name__) == short(kind)]
    parameters = inspect.signature(make).parameters
    later = {"text": "tiny-shakespeare"} if make is character_model_family else {}
    defaults = {name: p.default for name, p in parameters.items() if name != "judge_on"}
    if kind in ("OverlaidPairs", "Attributes"):
        later |= {"gradient_form": "automatic"}
    assert defaults == OLD_SETTINGS[kind] | later


@pytest.fixture(scope="module")
def make_family(small_images, small_text):
    """Makes a small one with the data that are there."""
    settings = {
        image_conv_family: {"dataset": small_images, "network": "two-layer-conv"},
        character_model_family: {"text": small_text, "hidden": (4,)},
        two_moons_family: {"hidden": (4,)},
        image_mlp_family: {"dataset": small_images},
        overlaid_pairs_family: {"dataset": small_images, "pairs_per_image": 1},
        attributes_family: {"dataset": small_images},
    }
    return lambda make, **more: make(**settings.get(make, {}), **more)


def equal(one, other):
    """Whether two trees have one structure and the same numbers."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in pairs)


@eqx.filter_jit
def step(family, key):
    """The losses before and after a small step against the mean gradient, and metrics."""
    task = family.sample(key)
    params, batch = task.init(key), task.sample(key)
    before, grads = task.value_and_grad(params, batch)
    # Of several losses, gradients are stacked.
    grads = jax.tree.map(lambda g, x: g if g.ndim == x.ndim else jnp.mean(g, 0), grads, params)
    rate = 1e-3 / (1.0 + optax.global_norm(grads))
    after = task.value(jax.tree.map(lambda x, g: x - rate * g, params, grads), batch)
    return before, after, task.evaluate(params)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_a_task_can_take_a_step(make_family, make, key):
    family = make_family(make)
    assert isinstance(family, TaskFamily)
    before, after, metrics = step(family, key)
    assert jnp.mean(after) < jnp.mean(before)
    assert all(name.startswith("test_") and jnp.isfinite(x) for name, x in metrics.items())


@pytest.mark.parametrize("judge_on", ["validation", "test"])
def test_the_split_to_judge_on_is_handed_on(make_family, judge_on, key):
    having = [make for make in ALL if "judge_on" in make.__annotations__]
    assert len(having) == 8
    for make in having:
        task = eqx.filter_eval_shape(make_family(make, judge_on=judge_on).sample, key)
        assert task.judge_on == judge_on
        with pytest.raises((ValueError, TypeError)):
            make_family(make, judge_on="train")


def test_every_setting_arrives(small_images, small_text):
    """What is made of settings is what is made by hand."""
    images, text = small_images, small_text
    assert equal(
        image_mlp_family(
            images,
            (5, 4),
            ("relu", "tanh"),
            batch_size=3,
            init_std=0.5,
            min_width=2,
            max_log_init_scale=1.5,
            num_train=20,
            num_held_out=10,
            weight_decay=0.1,
            label_smoothing=0.2,
            judge_on="validation",
        ),
        ImageClassificationFamily(
            images,
            MLPFamily((36, 5, 4, 3), ("relu", "tanh"), 2, 1.5, 0.5),
            num_train=20,
            num_held_out=10,
            batch_size=3,
            split="train",
            judge_on="validation",
            weight_decay=0.1,
            label_smoothing=0.2,
        ),
    )
    options = {"num_train": 20, "num_held_out": 10, "batch_size": 3, "judge_on": "validation"}
    controls = {"weight_decay": 0.1, "label_smoothing": 0.2}
    assert equal(
        image_conv_family(images, "four-layer-conv", **options, **controls),
        ImageClassificationFamily(images, four_layer_conv(images).network, **options, **controls),
    )
    assert equal(
        two_moons_family((5,), "relu", 0.1, judge_on="validation"),
        TwoMoonsFamily(network=MLP((2, 5, 1), "relu"), l2_penalty=0.1, judge_on="validation"),
    )
    random_moons = two_moons_family((5,), "relu", 0.1, True)
    assert random_moons.dataset is None
    assert equal(
        breast_cancer_family(0.1, judge_on="validation"),
        SingleTask(LogisticRegression(l2_penalty=0.1, judge_on="validation")),
    )
    assert equal(rosenbrock_family(4), SingleTask(Rosenbrock(4)))
    options = {"context": 4, "embedding_size": 3, "batch_size": 5, "judge_on": "validation"}
    assert equal(
        character_model_family(text, (7,), "relu", **options),
        SingleTask(character_mlp(text, (7,), "relu", **options)),
    )
    options = {"hidden": (5, 4), "head_hidden": (3,), "activations": ("relu", "tanh")}
    sizes = {"batch_size": 5, "judge_on": "validation"}
    pooled = datasets.average_pool(images)
    assert equal(
        overlaid_pairs_family(images, 2, pairs_per_image=2, **options, **sizes),
        multi_task_mlp_family(
            datasets.overlaid_pairs(pooled, pairs_per_image=2), **options, **sizes
        ),
    )
    assert equal(
        attributes_family(images, 2, missing=0.5, **options, **sizes),
        multi_task_mlp_family(datasets.digit_attributes(pooled, missing=0.5), **options, **sizes),
    )


@pytest.mark.usefixtures("unchecked_annotations")
@pytest.mark.parametrize("make", [image_mlp_family, image_conv_family])
def test_what_has_no_strength_is_left_out(make_family, make):
    plain = make_family(make)
    for nothing in (0.0, 0, None):
        family = make_family(make, weight_decay=nothing, label_smoothing=nothing)
        assert family.weight_decay is None
        assert family.label_smoothing is None
        assert jax.tree.structure(family) == jax.tree.structure(plain)
    assert make_family(make, weight_decay=0.1).weight_decay == jnp.float32(0.1)
    assert make_family(make, label_smoothing=0.1).label_smoothing == jnp.float32(0.1)


def test_a_family_of_one_target_alone(small_images):
    sizes = {"hidden": (5, 4), "head_hidden": (3,), "batch_size": 5, "judge_on": "validation"}
    family = attributes_family(small_images, **sizes)
    for target in family.data.targets:
        alone = family.only_target(target.name)
        data = datasets.only_target(family.data, target.name)
        assert equal(alone, multi_task_mlp_family(data, **sizes))
    with pytest.raises(ValueError, match="target must be one of digit, ink, even"):
        family.only_target("odd")


def test_titles_of_families(small_images, small_text):
    images, points = small_images, datasets.two_moons()
    digits = datasets.digits()
    assert [
        family.title
        for family in (
            QuadraticFamily(),
            LeastSquaresFamily(),
            LassoFamily(dimension=3),
            RastriginFamily(),
            rosenbrock_family(),
            LogisticRegressionFamily(),
            breast_cancer_family(),
            two_moons_family(),
            two_moons_family((5,), "relu", random_data=True),
            TwoMoonsFamily(),
            TwoMoonsFamily(points, MLPFamily((2, 5, 1), ("relu", "tanh"))),
            image_mlp_family(),
            image_mlp_family(images, (5, 4), ("relu", "tanh"), min_width=2),
            image_conv_family(digits, "two-layer-conv"),
            image_conv_family(images, "four-layer-conv"),
            character_model_family(small_text, (3, 4), "relu", context=4),
            overlaid_pairs_family(),
            attributes_family(images, hidden=(5, 4)),
            ConflictingQuadraticsFamily(),
            ReparameterizedFamily(QuadraticFamily(3)),
        )
    ] == [
        "5-dimensional quadratics",
        "10-dimensional least squares",
        "3-dimensional lasso",
        "10-dimensional Rastrigin functions",
        "2-dimensional Rosenbrock function",
        "3-dimensional logistic regression",
        "logistic regression on breast-cancer data",
        "two moons, 2-64-64-64-1 MLP (tanh)",
        "two moons, 2-5-1 MLP (relu)",
        "two moons, 2-64-64-64-1 MLP (tanh)",
        "two moons, 2-5-1 MLP (relu/tanh)",
        "digits, 64-20-10 MLP (relu)",
        "small, 36-5-4-3 MLP (relu/tanh)",
        "digits, two-layer-conv network",
        "small, four-layer-conv network",
        "small, 4 characters back, (3, 4) relu units",
        "digits pairs, trunk (32,)",
        "small attributes, trunk (5, 4)",
        "2 quadratics in 10 dimensions",
        "3-dimensional quadratics",
    ]


def test_titles_by_default():
    class MyFits(Task):
        def init(self, key):
            return jnp.zeros(1)

        def loss(self, params, batch):
            return jnp.sum(params**2)

    class MyFitsFamily(TaskFamily):
        def sample(self, key):
            return MyFits()

    class Family(MyFitsFamily):
        pass

    assert MyFits().title == MyFitsFamily().title == SingleTask(MyFits()).title == "my fits"
    assert Family().title == "family"


def test_a_task_has_the_title_of_its_family(small_images, small_text, key):
    for family in (
        image_mlp_family(small_images, (5,), ("relu", "tanh")),
        CharacterLanguageModelFamily(small_text, MLPFamily((8, 5, len(small_text.vocabulary)))),
        attributes_family(small_images),
        MultiTaskFamily(*[attributes_family(small_images).data, _Halves(), (MLP((18, 3)),) * 3]),
        ReparameterizedFamily(image_mlp_family(small_images)),
    ):
        assert eqx.filter_eval_shape(family.sample, key).title == family.title
    assert image_mlp(small_images).title == "small, 36-20-3 MLP (relu)"
    assert TwoMoons().title == "two moons"


class _Halves(ConvNet):
    """A network of a person's own, in a family that takes any."""

    def __init__(self):
        super().__init__((6, 6, 1), (Convolution(2, 3, 1), Convolution(4, 3, 1)), 18)


def test_titles_of_convolutional_networks():
    def blank(side, channels=1):
        images = np.zeros((3, side, side, channels), np.uint8)
        return datasets.Classification.from_arrays(
            "cifar10", images, np.zeros(3, int), num_classes=10, num_validation=1, num_test=1
        )

    for make, side, name in (
        (mnist_conv, 28, "mnist-conv"),
        (cifar_conv, 32, "cifar-conv"),
        (four_layer_conv, 28, "four-layer-conv"),
        (two_layer_conv, 8, "two-layer-conv"),
    ):
        assert make(blank(side)).network.title == f"{name} network"
        assert image_conv_family(blank(side), name).title == f"CIFAR-10, {name} network"
        assert image_conv_family(blank(side), name).network == make(blank(side)).network
    convolutions = (Convolution(8, 3, 2), Convolution(16, 3, 2))
    other = ConvNet((8, 8, 1), convolutions, 10, padding="SAME", relu_outputs=True)
    assert other.title == "8-16 convolutional network"
    assert ImageClassification(blank(8), other).title == "CIFAR-10, 8-16 convolutional network"


BAD = [
    (image_mlp_family, {"hidden": (0,)}, "hidden layer must be at least 1"),
    (image_mlp_family, {"activations": ()}, "the number of activations must be at least 1"),
    (image_mlp_family, {"activations": ("rely",)}, "activation must be one of .*'relu'"),
    (image_mlp_family, {"min_width": 21}, "min_width must be at most"),
    (image_mlp_family, {"weight_decay": -1.0}, "weight_decay must be"),
    (image_mlp_family, {"weight_decay": False}, "weight_decay must be"),
    (image_mlp_family, {"label_smoothing": 1.0}, "label_smoothing must be"),
    (image_mlp_family, {"num_train": 41}, "ask for 41 of the 40 rows"),
    (image_conv_family, {"batch_size": 0}, "batch_size must be at least 1"),
    (image_conv_family, {"weight_decay": float("nan")}, "weight_decay must be"),
    (two_moons_family, {"l2_penalty": -1.0}, "l2_penalty must be"),
    (two_moons_family, {"activation": "rely"}, "activation must be one of"),
    (breast_cancer_family, {"l2_penalty": -1.0}, "l2_penalty must be"),
    (rosenbrock_family, {"dimension": 1}, "dimension must be at least 2"),
    (character_model_family, {"context": 0}, "context must be at least 1"),
    (character_model_family, {"embedding_size": 0}, "embedding_size must be at least 1"),
    (overlaid_pairs_family, {"pooling": 0}, "pooling must be at least 1"),
    (overlaid_pairs_family, {"hidden": ()}, "layers of the trunk must be at least 1"),
    (attributes_family, {"missing": 1.0}, "missing must be"),
    (attributes_family, {"pooling": 4}, "factor that divides"),
    (ConflictingQuadraticsFamily, {"max_log_factor": 41.0}, "max_log_factor must be"),
]


@pytest.mark.usefixtures("unchecked_annotations")
@pytest.mark.parametrize(("make", "settings", "message"), BAD)
def test_bad_settings_end_in_a_sentence(make_family, make, settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        make_family(make, **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("unchecked_annotations")
def test_unknown_names_end_in_a_sentence(small_images):
    with pytest.raises(ValueError, match=r"network must be one of .*Did you mean 'mnist-conv'\?"):
        image_conv_family(network="mnist-cony")
    with pytest.raises(ValueError, match="dataset must be one of digits"):
        image_mlp_family("digit")
    with pytest.raises(ValueError, match="text must be one of"):
        character_model_family("hamlet")
    with pytest.raises(ValueError, match="too small for the convolutions"):
        image_conv_family(small_images)
