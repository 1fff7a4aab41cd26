import pytest

from l2o.support.words import in_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Quadratic", "quadratic"),
        ("LeastSquares", "least squares"),
        ("ODEFits", "ODE fits"),
        ("FitsOfODE", "fits of ODE"),
        ("AFit2D", "a fit2d"),
        ("my_fits", "my fits"),
        ("GrößteFits", "größte fits"),
        ("MLP", "MLP"),
    ],
)
def test_names_of_classes_in_words(name, words):
    assert in_words(name) == words
