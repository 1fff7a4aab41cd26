from pathlib import Path

import pytest

from l2o.tasks.datasets import DataError, cache_folder, data_folder
from l2o.tasks.datasets.folders import first_existing


def test_data_folder_is_the_one_named(monkeypatch, tmp_path):
    monkeypatch.setenv("L2O_DATA", str(tmp_path))
    assert data_folder() == tmp_path


@pytest.mark.parametrize("value", [None, ""])
def test_no_data_folder(monkeypatch, value):
    monkeypatch.delenv("L2O_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("L2O_DATA", value)
    with pytest.raises(DataError, match="set the environment variable L2O_DATA"):
        data_folder()


def test_data_folder_that_does_not_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("L2O_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        data_folder()


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("L2O_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("L2O_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "l2o"


def test_the_first_that_exists_is_taken(tmp_path):
    for name in ("b", "c"):
        (tmp_path / name).touch()
    assert first_existing("It", [tmp_path / name for name in "abc"]) == tmp_path / "b"
    with pytest.raises(DataError, match=r"It is missing: expected .*x or .*y.*L2O_DATA"):
        first_existing("It", [tmp_path / "x", tmp_path / "y"])


def test_a_home_that_nobody_has(monkeypatch):
    for variable, folder in (("L2O_DATA", data_folder), ("L2O_CACHE", cache_folder)):
        monkeypatch.setenv(variable, "~no-such-user/data")
        with pytest.raises(DataError, match=f"~no-such-user/data is not known: .* {variable}"):
            folder()
