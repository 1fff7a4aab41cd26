"""A thing's settings are the keywords of the one callable that makes it.

So everything that is listed in the module of its kind says of every setting a default, a type that
a command line or a file can give, and what it is.
"""

import ast
import importlib
import importlib.util
import inspect
import re
import types
import typing
from pathlib import Path

import pytest
from beartype.door import is_bearable

KINDS = {
    "l2o.optimizers.learned": "l2o.optimizers",
    "l2o.tasks.families": "l2o.tasks",
    "l2o.multiobjective.learned": "l2o.multiobjective",
    "l2o.multiobjective.problems.families": "l2o.multiobjective.problems",
}
"""The modules that list members of a kind, and the room that each of these is to be found in."""

PLAIN = (int, float, bool, str, type(None))
BULLET = re.compile(r"- `(\w+)`: (.+)")


def listed(module):
    """The names in a module's text, which has nothing but a docstring and imports of one name."""
    spec = importlib.util.find_spec(module)
    docstring, *lines = ast.parse(Path(spec.origin).read_text()).body
    assert isinstance(docstring, ast.Expr)
    for line in lines:
        assert isinstance(line, ast.ImportFrom)
        (alias,) = line.names
        assert alias.name == alias.asname
    return [line.names[0].name for line in lines]


MEMBERS = [pytest.param(module, name, id=name) for module in KINDS for name in listed(module)]
each_member = pytest.mark.parametrize(("module", "name"), MEMBERS)


def settings_of(make):
    """Parameters by name, with their types."""
    function = make.__init__ if isinstance(make, type) else make
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(make).parameters
    return {name: (parameter, hints[name]) for name, parameter in parameters.items()}


def is_plain(hint):
    """Whether a file of JSON can give values of this type."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Literal:
            return all(type(value) in PLAIN for value in arguments)
        case typing.Union | types.UnionType:
            # What no file can give, such as a data set, may be there besides.
            return any(is_plain(each) for each in arguments if each is not type(None))
        case origin if origin is tuple:
            return all(each is ... or is_plain(each) for each in arguments)
    return hint in PLAIN


def help_of(make):
    """The bullets under **Arguments:** in a docstring."""
    section = inspect.getdoc(make).split("**Arguments:**\n\n")[1].split("\n\n")[0]
    bullets = section.replace("\n  ", " ").splitlines()
    return dict(BULLET.fullmatch(bullet).groups() for bullet in bullets)


@each_member
def test_a_room_has_what_is_listed(module, name):
    assert getattr(importlib.import_module(KINDS[module]), name) is getattr(
        importlib.import_module(module), name
    )


@each_member
def test_every_setting_has_a_default_a_plain_type_and_a_help(module, name):
    make = getattr(importlib.import_module(module), name)
    settings = settings_of(make)
    texts = help_of(make)
    assert list(texts) == list(settings)
    for setting, (parameter, hint) in settings.items():
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        # A help stands alone.
        assert re.fullmatch(r"[A-Z\d].{8,}\.", texts[setting].capitalize()), texts[setting]
        assert "as for" not in texts[setting]
        if setting == "key":
            assert parameter.default is parameter.empty
        elif setting == "judge_on":
            assert set(typing.get_args(hint)) == {"validation", "test"}
        else:
            assert is_plain(hint), (setting, hint)
            assert is_bearable(parameter.default, hint), setting


@each_member
def test_the_first_line_says_what_it_is(module, name):
    first = inspect.getdoc(getattr(importlib.import_module(module), name)).splitlines()[0]
    assert first.endswith(".")
    assert len(first) < 100
