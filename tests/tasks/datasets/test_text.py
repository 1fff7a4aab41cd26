import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from l2o.tasks.datasets import DataError, Text, tiny_shakespeare


@given(st.text(st.characters(codec="utf-8"), min_size=20, max_size=200))
@settings(max_examples=40, deadline=None)
def test_the_splits_put_together_give_the_text(text):
    data = Text.from_string("any", text)
    numbers = np.concatenate([data.train, data.validation, data.test])
    assert "".join(data.vocabulary[number] for number in numbers.tolist()) == text
    assert data.vocabulary == "".join(sorted(set(text)))


def test_sizes_of_the_splits():
    data = Text.from_string("any", "ab" * 50)
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [90, 5, 5]
    assert data.train.dtype == jnp.int32


def test_too_short():
    with pytest.raises(ValueError, match="at least 20 characters, got 3"):
        Text.from_string("any", "abc")


def test_an_unknown_split():
    with pytest.raises((ValueError, TypeError)):
        Text.from_string("any", "ab" * 50).split("all")


def test_tiny_shakespeare_is_read_exactly(tmp_path, monkeypatch):
    text = "First Citizen:\r\nSpeak, speak.\n" * 3
    (tmp_path / "tinyshakespeare.txt").write_bytes(text.encode())
    monkeypatch.setenv("L2O_DATA", str(tmp_path))
    data = tiny_shakespeare()
    assert len(data.train) == int(0.9 * len(text))
    assert (
        "".join(data.vocabulary[number] for number in data.train.tolist())
        == text[: len(data.train)]
    )


def test_missing(tmp_path):
    with pytest.raises(DataError, match=r"tinyshakespeare\.txt.*L2O_DATA"):
        tiny_shakespeare(tmp_path)


@pytest.mark.parametrize("content", [b"\xff" * 40, b"short"])
def test_no_text(tmp_path, content):
    (tmp_path / "tinyshakespeare.txt").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a text"):
        tiny_shakespeare(tmp_path)
