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


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1" + 400 * "0", "-1" + 400 * "0"])
def test_numbers_beyond_double_precision(text):
    for content in (text, f"[{text}]", f'{{"x": {{"y": [{text}]}}}}'):
        with pytest.raises(
            ValueError, match=r"^x has a number beyond those of double precision\.$"
        ):
            read_json(content, "x")
    assert read_json("[1e308, -1e308, 1" + 300 * "0" + "]", "x") == [1e308, -1e308, 10**300]


def test_text_that_is_no_unicode():
    for content in (r'"\ud800"', r'[{"\udcff": 1}]', r'{"x": ["a\ud800b"]}'):
        with pytest.raises(ValueError, match=r"^x has a text that is no Unicode: '.*\\ud.*'\.$"):
            read_json(content, "x")
    with pytest.raises(ValueError, match=r"^x has a text with a null character: '.*b'\.$"):
        read_json(r'["a\u0000b"]', "x")
    assert read_json(r'{"ä": "\ud83d\ude00"}', "x") == {"ä": "\U0001f600"}
