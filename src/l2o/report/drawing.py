"""What all figures share: how they look, and how they become files and parts of pages."""

import io

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours can be told apart by colour-blind readers.
VERMILION = "#D55E00"
BLUE = "#0072B2"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
ORANGE = "#E69F00"
BLACK = "#000000"
GRID = "#DDDDDD"


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, without any global state of matplotlib."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style(axes: Axes) -> None:
    """Light lines, so that the data stand out."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def whole_steps(axes: Axes) -> None:
    """Ticks at whole numbers of steps alone, however few there are."""
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)


def as_png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as an image file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def as_svg(figure: Figure) -> Markup:
    """The figure as an element to be put into a page."""
    buffer = io.StringIO()
    # Without a date and random names, the same run gives the same page.
    with matplotlib.rc_context({"svg.hashsalt": "l2o"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])
