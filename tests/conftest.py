import equinox as eqx
import hypothesis
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

# Shapes and types in annotations are checked in every call; the rooms above have none.
ROOMS = (
    "support",
    "tasks",
    "optimizers",
    "inner_loop",
    "objectives",
    "deploy",
    "flatness",
    "multiobjective",
    "evaluation",
    "mechanisms",
    "metatraining",
)
jaxtyping.install_import_hook([f"l2o.{room}" for room in ROOMS], "beartype.beartype")

# Two devices even on a machine with one processor, so that dividing work among them is tested.
# It has to be said before JAX is used for the first time.
jax.config.update("jax_num_cpu_devices", 2)

# The first example of every shape is compiled, which takes longer than any deadline allows.
hypothesis.settings.register_profile("l2o", deadline=None)
hypothesis.settings.load_profile("l2o")


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """All programs of all tests together are more than a process may have."""
    from l2o.support.programs import forget_programs_if_many

    yield
    forget_programs_if_many()


@pytest.fixture(scope="module")
def quick_compilation():
    """For modules that run most things once, where compiling is most of the time."""
    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)
    jax.config.update(name, True)
    yield
    jax.config.update(name, before)


@pytest.fixture
def unchecked_annotations():
    """As outside of tests, where annotations are not held to at run time."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def x64():
    """Double precision for the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def random_like():
    """Normal numbers with the structure, shapes and dtypes of a tree; nothing is compiled."""

    def draw(tree, seed=0, scale=1.0):
        generator = np.random.default_rng(seed)

        def numbers(leaf):
            return jnp.asarray(scale * generator.standard_normal(leaf.shape), leaf.dtype)

        arrays, rest = eqx.partition(tree, _is_inexact)
        return eqx.combine(jax.tree.map(numbers, arrays), rest)

    return draw


def _is_inexact(leaf):
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)


@pytest.fixture(scope="session")
def shared_buffers():
    """Finds the buffers that stand in two places of some trees, by the paths of those places."""

    def find(*trees):
        places = {}
        for path, leaf in jax.tree_util.tree_leaves_with_path(trees):
            if isinstance(leaf, jax.Array) and leaf.size:
                place = jax.tree_util.keystr(path)
                places.setdefault(leaf.unsafe_buffer_pointer(), []).append(place)
        return [shared for shared in places.values() if len(shared) > 1]

    return find


@pytest.fixture(scope="session")
def assert_trees_close():
    """Compares two trees of arrays leaf by leaf."""

    def check(actual, desired, rtol, atol=0.0):
        assert jax.tree.structure(actual) == jax.tree.structure(desired)
        for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
            np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)

    return check
