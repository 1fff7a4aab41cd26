import hashlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_license_is_apache_2_as_it_stands():
    text = (ROOT / "LICENSE").read_bytes()
    assert hashlib.sha256(text).hexdigest() == (
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    )
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]


def test_versions_agree():
    (cited,) = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited == PROJECT["version"]
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_description_promises_what_is_there():
    assert ("PyTorch" in PROJECT["description"]) == (ROOT / "src" / "l2o" / "torch").is_dir()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md", "README.md"])
def test_pages_name_files_that_exist(page):
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:src|tests|docs|examples)/[\w./-]+)`", text)
    linked = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    for path in (*named, *linked):
        if "NAME" not in path:
            assert (ROOT / path).exists(), path
