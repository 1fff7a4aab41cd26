"""The documentation site: it builds strictly, no link is dead, nothing is loaded from elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings")),
    reason="the dependency group docs is not installed",
)


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors, self.modules = [], [], set(), 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        self.modules += "doc-module" in (given.get("class") or "").split()
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    # Proxies that lead nowhere: it is built without a network.
    nowhere = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all")}
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_no_link_is_dead_and_no_picture_missing(site, pages):
    dead = []
    for path, page in pages.items():
        for target in page.links + page.loaded:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            # The page for what is not there can be shown anywhere: its paths begin at the root.
            base = site if url.path.startswith("/") else path.parent
            found = (base / unquote(url.path).lstrip("/")).resolve() if url.path else path
            if not found.is_file() and not (found / "index.html").is_file():
                dead.append((path.name, target))
            elif url.fragment and found.suffix == ".html":
                # Of the theme: the head of every page.
                known = pages[found].anchors | {"__top"}
                if unquote(url.fragment) not in known:
                    dead.append((path.name, target))
    assert not dead


def test_nothing_is_loaded_from_another_host(site, pages):
    for page in pages.values():
        assert [target for target in page.loaded if urlsplit(target).netloc] == []
    for path in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text()), path


def test_every_public_name_has_its_place_in_the_reference(site, pages):
    specification = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hooks)
    rooms = hooks.public_rooms()
    assert {"l2o.tasks", "l2o.tasks.datasets", "l2o.optimizers"} <= rooms.keys()
    for room, names in rooms.items():
        page = pages[site / "reference" / f"{room.removeprefix('l2o.')}.html"]
        assert [n for n in names if f"{room}.{n}" not in page.anchors] == [], room
        # Not the module that has the same name.
        assert page.modules == 0, room
    assert hooks.shortcuts()["metatrain"] == "l2o.metatraining.metatrain"


@pytest.mark.parametrize("width", [400, 1400])
def test_pages_are_readable_in_a_browser(width, viewer, pages):
    # The page for what is not there has paths that begin at the root of a server.
    shown = [path for path in pages if path.name != "404.html"]
    assert viewer.faults(shown, width) == []
