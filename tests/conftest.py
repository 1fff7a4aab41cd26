import shutil
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

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
    "gradients",
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


_LOOK = """() => {
    const smallest = 12;
    const says = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const size = e => parseFloat(getComputedStyle(e).fontSize);
    const cut = e => {
        const text = e.getBoundingClientRect(), all = e.ownerSVGElement.getBoundingClientRect();
        return text.left < all.left - 1 || text.right > all.right + 1;
    };
    return {
        width: document.documentElement.scrollWidth,
        broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.src.slice(0, 200)),
        small: [...document.querySelectorAll("body *")]
            .filter(e => says(e) && e.checkVisibility() && size(e) && size(e) < smallest)
            .map(e => `${e.tagName} ${size(e)} ${e.textContent.trim().slice(0, 40)}`),
        cut: [...document.querySelectorAll(".plot text")].filter(cut).map(e => e.textContent),
        links: [...document.querySelectorAll("a[href]")].map(a => a.getAttribute("href")),
    };
}"""


@dataclass(frozen=True)
class Viewer:
    """A headless browser."""

    browser: Any

    def faults(self, paths, width):
        """What is wrong with pages, files, in a window of so many pixels: none is as it should."""
        # What is still on its way when the next page is opened is given up, which is no failure.
        aborted = "net::ERR_ABORTED"
        found = []
        view = self.browser.new_page(viewport={"width": width, "height": 900})
        view.on("console", lambda m: found.append(m.text) if m.type == "error" else None)
        view.on("pageerror", lambda error: found.append(str(error)))
        view.on("requestfailed", lambda r: found.append(r.url) if r.failure != aborted else None)
        for path in paths:
            view.goto(path.as_uri(), wait_until="load")
            seen = view.evaluate(_LOOK)
            faults = seen["broken"] + seen["small"] + seen["cut"]
            faults += [f"{seen['width']} wide"] if seen["width"] > width else []
            faults += [link for link in seen["links"] if not _leads_somewhere(link, path)]
            found += [f"{path.name} at {width}: {fault}" for fault in faults]
        view.close()
        return found


def _leads_somewhere(link, path):
    """Whether a link leads out, or to a file; anchors are tested where there are any."""
    url = urlsplit(link)
    target = path.parent / unquote(url.path)
    return bool(url.netloc or not url.path or target.is_file() or (target / "index.html").is_file())


@pytest.fixture(scope="session")
def viewer():
    """A browser, where there is one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=program)
        yield Viewer(launched)
        launched.close()
