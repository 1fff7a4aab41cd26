import jax
import jax.numpy as jnp
import numpy as np
import pytest

from l2o.flatness import LossSurface, SpectralDensity
from l2o.report.drawing import as_png, as_svg
from l2o.report.flatness import loss_lines, loss_planes, spectral_densities

POINTS = np.linspace(-1, 1, 7)


def surface(losses, dimensions):
    return LossSurface(jnp.asarray(POINTS), jnp.asarray(losses), (jnp.ones(2),) * dimensions)


def texts(figure):
    """All that is written in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_lines_show_every_run_and_their_mean():
    several = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *[surface(k + POINTS**2 + 0.1, 1) for k in range(3)]
    )
    figure = loss_lines({"adam": several, "learned": surface(POINTS**2 + 0.2, 1)})
    (axes,) = figure.axes
    lines = axes.get_lines()
    assert len(lines) == 3 + 1 + 1
    np.testing.assert_allclose(lines[3].get_ydata(), 1.1 + POINTS**2, rtol=1e-5)
    assert "1 or 3 run(s)" in texts(figure)
    assert "in filter norms" in texts(figure)
    assert axes.get_yscale() == "log"
    assert as_png(figure)


@pytest.mark.parametrize("offset", [0.1, -5.0])
def test_planes_share_a_scale_and_leave_out_what_is_not_finite(offset):
    plane = offset + POINTS[:, None] ** 2 + 3 * POINTS**2
    broken = np.where(plane == plane.max(), np.inf, plane)
    figure = loss_planes({"adam": surface(plane, 2), "learned": surface(broken, 2)})
    assert {"adam", "learned"} <= {axes.get_title() for axes in figure.axes}
    assert len(figure.axes) == 3
    assert as_svg(figure)


def test_the_first_direction_is_the_horizontal_one():
    figure = loss_planes({"one": surface(np.broadcast_to(POINTS[:, None] + 2, (7, 7)), 2)})
    losses = figure.axes[0].collections[0].get_array()
    # A row is drawn from the left to the right.
    np.testing.assert_allclose(losses, np.broadcast_to(POINTS + 2, (7, 7)))


def test_a_constant_plane_can_be_drawn():
    assert as_png(loss_planes({"flat": surface(np.zeros((7, 7)), 2)}))


def test_spectral_densities():
    grid = jnp.linspace(-1, 5, 50)
    density = SpectralDensity(grid, jnp.exp(-(grid**2)), grid[None], grid[None])
    figure = spectral_densities({"adam": density, "learned": density})
    assert "eigenvalue of the Hessian" in texts(figure)
    assert len(figure.axes[0].get_lines()) == 2
    assert as_png(figure)


def test_what_is_asked_for_is_checked():
    with pytest.raises(ValueError, match="something to draw"):
        loss_lines({})
    with pytest.raises(ValueError, match="'adam' must have 1 direction"):
        loss_lines({"adam": surface(np.ones((7, 7)), 2)})
    with pytest.raises(ValueError, match="finite loss"):
        loss_planes({"adam": surface(np.full((7, 7), np.nan), 2)})
