"""The folder of a reproduction: one command writes into it, and keeps what is done."""

import json
import os

import pytest

from l2o.studies.reproduction import Profile, Reproduction, WorkFolder


def compute():
    return {"answer": 42}


def test_a_part_is_computed_once(tmp_path):
    folder = WorkFolder(tmp_path)
    first = folder.once("a/b", compute)
    assert first["answer"] == 42
    assert folder.once("a/b", lambda: 1 / 0) == first


@pytest.mark.parametrize(
    "content", [b"", b'{"answer": 4', b"\xff\xfe", b"[]", b"3", b'{"answer": 42}', b"[" * 100_000]
)
def test_a_damaged_part_is_told(tmp_path, content):
    folder = WorkFolder(tmp_path)
    folder.once("a/b", compute)
    path = tmp_path / "parts" / "a" / "b.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged; delete it, .*parts/a/b\.json"):
        folder.once("a/b", compute)
    # As it says.
    path.unlink()
    assert folder.once("a/b", compute)["answer"] == 42


def test_claiming(tmp_path):
    folder = WorkFolder(tmp_path / "work")
    folder.claim({"sizes": (1, 2)})
    folder.claim({"sizes": (1, 2)})
    with pytest.raises(ValueError, match="results of other settings"):
        folder.claim({"sizes": (1, 3)})
    for content in (b"{", b"[" * 100_000, b"\xff"):
        (tmp_path / "work" / "settings.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"settings\.json is "):
            folder.claim({"sizes": (1, 2)})
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not empty"):
        WorkFolder(tmp_path).claim({})
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".lock").write_text("")
    WorkFolder(tmp_path / "hidden").claim({})


def reproduction(run_study):
    return Reproduction("x", "nothing", {"quick": Profile(None, "small")}, run_study)


def test_one_command_a_folder(tmp_path):
    out = tmp_path / "out"

    def run_study(study, out, on_progress, **settings):
        assert int((out / ".lock").read_text()) == os.getpid()
        with pytest.raises(ValueError, match="is writing into"):
            reproduction(run_study).run("quick", out, print)
        path = out / "results.json"
        path.write_text(json.dumps(settings))
        return path

    page = reproduction(run_study).run("quick", out, print, num_processes=2)
    assert json.loads(page.read_text())["num_processes"] == 2
    assert [path.name for path in out.iterdir()] == ["results.json"]


def test_nothing_is_left_of_a_study_without_data(tmp_path):
    def run_study(*_, **__):
        raise ValueError("No data.")

    with pytest.raises(ValueError, match="No data"):
        reproduction(run_study).run("quick", tmp_path / "a" / "out", print)
    assert list(tmp_path.iterdir()) == []
