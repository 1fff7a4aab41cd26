"""The folder of a reproduction: one command writes into it, and keeps what is done."""

import json
import math
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import example_parts
import numpy as np
import pytest

from l2o.report.plain import number, plain
from l2o.studies import REPRODUCTIONS, Reproduction, find_reproduction
from l2o.studies.study import Study, claim_folder
from l2o.support.strict_json import to_json


def test_claiming(tmp_path):
    folder = tmp_path / "work"
    claim_folder(folder, {"sizes": (1, 2)})
    claim_folder(folder, {"sizes": (1, 2)})
    with pytest.raises(ValueError, match="results of other settings"):
        claim_folder(folder, {"sizes": (1, 3)})
    for content in (b"{", b"[" * 100_000, b"\xff"):
        (folder / "settings.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"settings\.json is "):
            claim_folder(folder, {"sizes": (1, 2)})
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not empty"):
        claim_folder(tmp_path, {})
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".lock").write_text("")
    claim_folder(tmp_path / "hidden", {})


def reproduction(monkeypatch, **changes):
    """One whose study is a single square of a number."""

    def results(heading, settings, work):
        found = work.once("square", example_parts.square, settings["x"])["square"]
        return {**heading, "square": found, "rows": [{"a": 1}, {"a": 2}], "none": [], "name": {}}

    def write(found, out):
        path = out / "page.html"
        path.write_text(f"{found['square']}")
        return path

    study = Study("toy", "nobody's", {"quick": {"x": 3}}, dict, results, write)
    monkeypatch.setattr(example_parts, "STUDY", replace(study, **changes), raising=False)
    return Reproduction("toy", "nothing", {"quick": "small"}, "example_parts")


def test_a_study_is_run_and_written_and_drawn_again(monkeypatch, tmp_path):
    toy, out = reproduction(monkeypatch), tmp_path / "out"
    page = toy.run("quick", out, lambda progress: None)
    assert (page, page.read_text()) == (out / "page.html", "9")
    found = json.loads((out / "results.json").read_text())
    assert found["command"] == f"l2o reproduce toy --profile quick --out {out}"
    assert (found["experiment"], found["paper"], found["profile"]) == ("toy", "nobody's", "quick")
    assert {"Python", "jax"} <= found["versions"].keys()
    assert found["rows"] == [{"a": 1}, {"a": 2}]
    # A line for each row, so that versions can be compared.
    assert (
        (out / "results.json")
        .read_text()
        .endswith('"rows": [\n  {"a": 1},\n  {"a": 2}\n ],\n "none": [],\n "name": {}\n}\n')
    )
    assert json.loads((out / "settings.json").read_text()) == {"x": 3, "profile": "quick"}
    page.unlink()
    assert toy.draw(out).read_text() == "9"
    (out / "results.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        toy.draw(out)


@pytest.mark.parametrize("given", [{"num_processes": 2}, {"executor": ThreadPoolExecutor(1)}])
def test_processes_or_an_executor_give_the_same(monkeypatch, tmp_path, given):
    toy, said = reproduction(monkeypatch), []
    toy.run("quick", tmp_path / "one", lambda progress: None)
    toy.run("quick", tmp_path / "other", said.append, **given)
    one, other = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "other")
    )
    assert other.pop("command") != one.pop("command")
    assert one == other
    begun, asked_for, done = said
    assert begun.activity.endswith("at work: starting")
    assert asked_for.activity.endswith("at work: square")
    assert (asked_for.done, done.done, done.total) == (0, 1, 1)


def test_one_command_a_folder(monkeypatch, tmp_path):
    out = tmp_path / "out"

    def results(heading, settings, work):
        assert int((out / ".lock").read_text()) == os.getpid()
        with pytest.raises(ValueError, match="is writing into"):
            toy.run("quick", out, print)
        return {**heading, "square": 0}

    toy = reproduction(monkeypatch, results=results)
    toy.run("quick", out, print)
    assert not (out / ".lock").exists()


def test_nothing_is_left_of_a_study_without_data(monkeypatch, tmp_path):
    def claim(settings):
        raise ValueError("No data.")

    with pytest.raises(ValueError, match="No data"):
        reproduction(monkeypatch, claim=claim).run("quick", tmp_path / "a" / "out", print)
    assert list(tmp_path.iterdir()) == []


def test_other_profiles_and_no_processes_are_refused(monkeypatch, tmp_path):
    toy = reproduction(monkeypatch)
    with pytest.raises(ValueError, match="A profile must be one of"):
        toy.run("enormous", tmp_path / "out", print)
    with pytest.raises(ValueError, match="number of processes must be at least 1"):
        toy.run("quick", tmp_path / "out", print, num_processes=0)
    with pytest.raises(ValueError, match="A reproduction must be one of"):
        find_reproduction("toy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("known", REPRODUCTIONS, ids=lambda each: each.name)
def test_every_reproduction_has_the_study_that_is_told_of(known):
    study = find_reproduction(known.name).study()
    assert study.experiment == known.name
    assert list(study.profiles) == list(known.profiles)
    for settings in study.profiles.values():
        # It is sent to other processes.
        assert pickle.loads(pickle.dumps(settings)) == settings


def test_reproductions_are_told_of_without_jax():
    program = "import sys, l2o.studies; print(*{'jax', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_numbers_that_json_does_not_know_are_refused_and_come_back():
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"a": math.nan})
    values = json.loads(to_json(plain({"a": [1.5, math.nan, -math.inf]})))["a"]
    np.testing.assert_array_equal(list(map(number, values)), [1.5, math.nan, math.nan])
