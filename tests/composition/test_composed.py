"""Names and keywords, and what they make."""

import pytest

from l2o.composition import (
    LEARNED_OPTIMIZER,
    TASK_FAMILY,
    Composed,
    digest_of_code,
    find_member,
    find_object,
    members,
)

OWN = '''
"""Of a person's own."""

calls = []


class Rule:
    """A rule.

    **Arguments:** `rate`, how fast.
    """

    def __init__(self, rate: float = 0.5, *, key):
        calls.append(rate)
        self.rate, self.key = rate, key


def broken(rate: float = 0.5):
    """Never made."""
    raise KeyError("no " + "rate")


ready = "itself"
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own_rules.py"
    path.write_text(OWN)
    return f"{path}:"


@pytest.mark.parametrize("kind", [LEARNED_OPTIMIZER, TASK_FAMILY])
def test_every_member_has_a_description_and_is_what_its_name_says(kind):
    for name, member in members(kind).items():
        assert member.description.endswith("."), name
        assert callable(member.load())
        assert find_member(kind, name) is member


@pytest.mark.parametrize("name", ["image-mlp", "ImageMLP", "image_mlp", "image_mlp_family"])
def test_case_and_hyphens_of_names_do_not_count(name):
    assert find_member(TASK_FAMILY, name).name == "image-mlp"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="RNNProp"):
        find_member(LEARNED_OPTIMIZER, "RNProp")


def test_completing_names_all_settings_and_only_those():
    completed = Composed("rnnprop", {"max_step": 1}).completed(LEARNED_OPTIMIZER)
    assert completed == Composed("RNNProp", {"hidden_size": 20, "decay": 0.95, "max_step": 1.0})
    with pytest.raises(ValueError, match="A setting of RNNProp"):
        Composed("RNNProp", {"max_stepp": 1}).completed(LEARNED_OPTIMIZER)


def test_equal_ones_hash_alike_and_but_leaves_the_original():
    one = Composed("RNNProp", {"max_step": 1})
    assert hash(one) == hash(Composed("RNNProp", {"max_step": 1}))
    assert one.but(decay=0.5).keywords == {"max_step": 1, "decay": 0.5}
    assert one.keywords == {"max_step": 1}


def test_a_persons_own_is_made_with_its_settings_and_what_is_given(own):
    rule, shared = Composed(own + "Rule", {"rate": 2}).make(
        LEARNED_OPTIMIZER, key="key", judge_on="test"
    )
    assert (rule.rate, rule.key, shared) == (2.0, "key", {})
    settings = Composed(own + "Rule").settings(LEARNED_OPTIMIZER)
    assert settings["rate"].description == "How fast."
    assert Composed(own + "ready").make(LEARNED_OPTIMIZER, key="key") == ("itself", {})


def test_an_error_of_a_persons_own_code_is_one_sentence(own):
    with pytest.raises(ValueError, match=r"broken cannot be made: KeyError: 'no rate' \(line 20\)"):
        Composed(own + "broken").make(LEARNED_OPTIMIZER, key="key")


def test_code_that_only_a_file_names_is_not_imported(tmp_path):
    path = tmp_path / "trap.py"
    path.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\ndef task(): pass\n")
    trap = Composed(f"{path}:task", confirmed=False)
    for touch in (trap.maker, trap.settings, trap.completed, trap.make):
        with pytest.raises(ValueError, match=f"add --task {path}:task"):
            touch(TASK_FAMILY)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("text", ["import sys; sys.exit(0)", "def make(): raise SystemExit(0)"])
def test_code_that_ends_the_program_is_a_sentence(text, tmp_path):
    path = tmp_path / "ends.py"
    path.write_text(text + "\n")
    with pytest.raises(ValueError, match="SystemExit"):
        Composed(f"{path}:make").make(TASK_FAMILY)


def test_a_file_is_run_once_while_it_is_the_same_and_finds_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_own.py").write_text("NUMBER = 7\n")
    path = tmp_path / "counted.py"
    path.write_text("from neighbour_of_own import NUMBER\nvalue = [NUMBER]\n")
    reference = f"{path}:value"
    assert find_object(reference) == [7]
    assert find_object(reference) is find_object(reference)
    before = digest_of_code(reference)
    path.write_text("value = [8]\n")
    assert find_object(reference) == [8]
    assert digest_of_code(reference) != before


def test_a_thing_made_already_takes_no_settings(own):
    with pytest.raises(ValueError, match="ready takes no settings"):
        Composed(own + "ready", {"rate": 1.0}).make(LEARNED_OPTIMIZER)
