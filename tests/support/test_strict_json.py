import json

import pytest

from l2o.support.strict_json import read_json


def test_what_is_read():
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}
    assert read_json(json.dumps(value), "file") == value
    assert read_json(json.dumps(value).encode(), "file") == value
    deep = "[" * 60 + "]" * 60
    assert read_json(deep, "file") == json.loads(deep)


@pytest.mark.parametrize(
    "content",
    ["", "{", "nonsense", b"\xff\xfe\x00", "NaN", "[Infinity]", '{"a": -Infinity}', "9" * 9999],
)
def test_no_json(content):
    with pytest.raises(ValueError, match=r"^file is no JSON file: ") as caught:
        read_json(content, "file")
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("depth", [70, 500, 100_000])
@pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"a":', "}")])
def test_deep_nesting(depth, opening, closing):
    with pytest.raises(ValueError, match=r"^file is nested too deeply\.$"):
        read_json(opening * depth + "0" + closing * depth, "file")
