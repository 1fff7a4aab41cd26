"""Help texts out of docstrings."""

from l2o.composition.docstrings import argument_texts, summary


def bullets():
    """Does something.

    More of it.

    **Arguments:**

    - `width`: of each layer,
      in units.
    - `rate`: how fast; `exact` if 0.

    **Returns:** nothing, `width`, or so.
    """


def in_one_line():
    """Does something
    else.

    **Arguments:** `width`, of each layer; `rate`, how
    fast.

    **Raises:** `ValueError`, always.
    """


class Base:
    """A base.

    **Arguments:** `weight`, in front of it; `every`, steps.
    """


class Derived(Base):
    """A derived class.

    **Arguments:** as for `Base`, and `every`, two steps.
    """


def test_bullets_and_lists_in_a_line_are_read_alike():
    assert argument_texts(bullets) == {
        "width": "Of each layer, in units.",
        "rate": "How fast; exact if 0.",
    }
    assert argument_texts(in_one_line) == {"width": "Of each layer.", "rate": "How fast."}


def test_a_class_has_the_texts_of_its_bases_and_its_own_go_first():
    assert argument_texts(Derived) == {"weight": "In front of it.", "every": "Two steps."}


def test_the_summary_is_the_first_paragraph_in_a_line():
    assert summary(in_one_line) == "Does something else."
    assert summary(lambda: None) == ""
