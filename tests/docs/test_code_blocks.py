"""Every block of code in README and docs runs.

A page's Python blocks share one namespace, in order, in an empty folder. Marks before a block,
which readers do not see on the page:

    <!-- not run: REASON -->
    <!-- run with: TEXT -> SMALLER; ... -->      the block runs with texts replaced
    <!-- run before:                             runs first: what a fragment takes for granted
    CODE
    -->

Blocks of `bash` are read by the parser of the command line.
"""

import contextlib
import io
import re
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pytest

from l2o import cli

pytestmark = pytest.mark.usefixtures("quick_compilation")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|run with|run before):(?P<detail>(?:(?!-->).|\n)*?)-->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>(?:.*\n)*?)(?P=indent)```$",
    re.MULTILINE,
)
MOST_NOT_RUN = 0


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: Path
    line: int
    language: str
    code: str
    mark: str
    detail: str

    @property
    def place(self):
        return f"{name_of(self.page)}:{self.line}"

    def run(self, names):
        """Executes it, and what its mark says before or instead."""
        code = self.code
        if self.mark == "run before":
            exec(compile(self.detail, f"{self.place} (before)", "exec"), names)
        if self.mark == "run with":
            for replacement in self.detail.split(";"):
                old, new = (text.strip() for text in replacement.split("->"))
                assert old in code, f"{self.place} has no {old}"
                code = code.replace(old, new)
        # Lines of the page in tracebacks.
        exec(compile("\n" * self.line + code, str(self.page), "exec"), names)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks_of(page):
    text = page.read_text()
    blocks = []
    for match in BLOCK.finditer(text):
        indent = match["indent"]
        code = "".join(line.removeprefix(indent) for line in match["code"].splitlines(True))
        line = text.count("\n", 0, match.start("language")) + 1
        mark, detail = match["mark"] or "", match["detail"] or ""
        blocks.append(Block(page, line, match["language"], code, mark, detail))
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PYTHON = {
    page: [block for block in BLOCKS if block.page == page and block.language == "python"]
    for page in PAGES
}


def commands():
    """Every `l2o ...` and `make ...` of the pages, and where it stands."""
    for block in BLOCKS:
        if block.language == "bash":
            for line in block.code.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] in ("l2o", "make"):
                    yield pytest.param(words, id=f"{block.place} {' '.join(words)}")


@pytest.mark.parametrize("page", [page for page in PAGES if PYTHON[page]], ids=name_of)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    names = {"__name__": "page"}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in PYTHON[page]:
            if block.mark != "not run":
                block.run(names)


@pytest.mark.parametrize("words", commands())
def test_commands_are_understood(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    if words[0] == "make":
        (targets,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets.split()
    else:
        # What the shell takes for itself is not the command's.
        redirected = words.index(">") if ">" in words else len(words)
        # Help ends the program.
        shown = pytest.raises(SystemExit) if "--help" in words else contextlib.nullcontext()
        with shown:
            cli._parse(words[1:redirected])


def test_few_blocks_are_left_out_and_all_say_why():
    left_out = [block for block in BLOCKS if block.mark == "not run"]
    assert all(len(block.detail.split()) > 1 for block in left_out)
    assert len(left_out) <= MOST_NOT_RUN, [block.place for block in left_out]


def test_every_fence_of_a_page_is_seen_and_no_command_hides():
    for page in PAGES:
        fences = re.findall(r"^ *```", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks_of(page)), name_of(page)
    for block in BLOCKS:
        # Formulas on pages about results have no language.
        assert block.language in ("python", "bash", "text", ""), block.place
        if block.language in ("text", ""):
            assert not re.search(r"^ *(?:l2o|make) \w", block.code, re.MULTILINE), block.place


def test_no_mark_is_misspelt():
    for page in PAGES:
        marks = re.findall(r"<!-- *(?:not )?run\b", page.read_text())
        assert len(marks) == sum(block.mark != "" for block in blocks_of(page)), name_of(page)
