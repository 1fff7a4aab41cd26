import numpy as np
import pytest

from l2o.report.drawing import as_png, as_svg
from l2o.report.fronts import front_and_found, paths_and_critical_set

T = np.linspace(0, 2, 30)
FRONT = np.stack([T**2, (T - 2) ** 2], axis=1)


def texts(figure):
    """All that is written in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_a_front_and_the_ends_of_runs():
    found = {
        "mgda": FRONT[::10] + 0.1,
        "upgrad": np.array([[1.0, 1.5], [np.nan, 0.0]]),
    }
    figure = front_and_found(FRONT[::-1], found, axis_names=("f_1", "f_2"))
    (axes,) = figure.axes
    line, mgda, upgrad = axes.get_lines()
    np.testing.assert_allclose(line.get_xydata(), FRONT)
    np.testing.assert_allclose(mgda.get_xydata(), FRONT[::10] + 0.1)
    np.testing.assert_allclose(upgrad.get_xydata(), [[1.0, 1.5]])
    assert "upgrad (1 of 2 diverged)" in texts(figure)
    assert "2 or 3 run(s)" in texts(figure)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("f_1", "f_2")
    assert as_png(figure)


def test_no_line_joins_the_pieces_of_a_front():
    pieces = np.concatenate([FRONT[:8], FRONT[22:]])
    line = front_and_found(pieces, {"mgda": FRONT}).axes[0].get_lines()[0].get_xydata()
    assert len(line) == len(pieces) + 1
    assert np.isnan(line[8]).all()
    np.testing.assert_allclose(np.delete(line, 8, axis=0), pieces)


def test_paths_from_their_starts_to_their_ends():
    steps = np.linspace(1, 0, 12)[:, None] * np.array([3.0, -2.0])
    paths = np.stack([steps, steps + 1, np.where(steps > 2, steps, np.inf)])
    figure = paths_and_critical_set(T[:, None] * np.ones(2), {"mgda": paths})
    (axes,) = figure.axes
    critical, *lines, starts, ends = axes.get_lines()
    assert len(critical.get_xydata()) == len(T)
    np.testing.assert_allclose([line.get_xydata() for line in lines], paths)
    np.testing.assert_allclose(starts.get_xydata(), paths[:, 0])
    np.testing.assert_allclose(ends.get_xydata(), paths[:, -1])
    assert "3 run(s)" in texts(figure)
    assert "1 of 3 diverged" in texts(figure)
    assert as_svg(figure)


def test_what_is_asked_for_is_checked():
    with pytest.raises(ValueError, match="something to draw"):
        front_and_found(FRONT, {})
    with pytest.raises(ValueError, match=r"The front must have the shape \(points, 2\)"):
        front_and_found(np.ones((5, 3)), {"mgda": FRONT})
    with pytest.raises(ValueError, match=r"'mgda' went through must have the shape \(runs, steps"):
        paths_and_critical_set(FRONT, {"mgda": FRONT})
