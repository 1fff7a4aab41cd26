import subprocess
import sys

import pytest

from l2o.support.faces import lazy_face

PACKAGE = {
    "__init__.py": "from l2o.support.faces import lazy_face\n"
    "__getattr__, __dir__, __all__ = lazy_face(__name__)\n",
    "__init__.pyi": "from own_room import inner as inner\n"
    "from own_room.listed import *\n"
    "from own_room.heavy import deed as deed\n",
    "listed.py": "from own_room.heavy import Thing as Thing\n",
    "heavy.py": "print('imported')\nclass Thing: pass\ndef deed(): return 1\n",
    "light.py": "NUMBER = 3\n",
    "inner.py": "",
}


@pytest.fixture
def output_of(tmp_path):
    (tmp_path / "own_room").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "own_room" / name).write_text(text)

    def run(program):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_names_are_imported_on_first_use(output_of):
    program = (
        "import own_room; from own_room.light import NUMBER\n"
        "print(*dir(own_room)); print(own_room.deed())\n"
        "assert own_room.deed is own_room.deed and 'deed' in vars(own_room)\n"
        "print(own_room.inner.__name__)"
    )
    assert output_of(program).splitlines() == [
        "Thing deed inner",
        "imported",
        "1",
        "own_room.inner",
    ]


def test_all_names_at_once(output_of):
    assert output_of("from own_room import *; print(Thing.__name__, deed())").splitlines() == [
        "imported",
        "Thing 1",
    ]


def test_unknown_names_are_missing():
    find, _, names = lazy_face("l2o.evaluation")
    assert "tune" in names
    with pytest.raises(AttributeError, match="has no attribute 'tunes'"):
        find("tunes")
