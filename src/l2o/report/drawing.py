"""What all figures share: how they look, and how they become files and parts of pages."""

import io
import warnings
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, ScalarFormatter

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


def say(axes: Axes, text: str) -> None:
    """Writes a sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, transform=axes.transAxes)


def _finish(figure: Figure) -> None:
    """Names are shown as they are, whatever signs are in them, and a line of one point as a dot."""
    kept = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [*axis.get_ticklabels(which="both"), axis.get_offset_text()]
            if isinstance(axis.get_major_formatter(), ScalarFormatter | LogFormatter):
                # Numbers, of which powers of ten are formulas.
                kept.update(labels)
    for text in figure.findobj(Text):
        if text not in kept:
            text.set_parse_math(False)
    for line in figure.findobj(Line2D):
        points = np.asarray(line.get_xydata(), np.float64)
        is_seen = str(line.get_marker()) not in ("None", "", " ")
        if not is_seen and np.sum(np.all(np.isfinite(points), axis=1)) == 1:
            line.set_marker("o")


def _saved(figure: Figure, **how: Any) -> bytes:
    _finish(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A sign that the font lacks, of a folder's name, is a box.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        figure.savefig(buffer, **how)
    return buffer.getvalue()


def as_png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as an image file."""
    return _saved(figure, format="png", dpi=dpi)


def as_svg(figure: Figure) -> Markup:
    """The figure as an element to be put into a page."""
    # Without a date and random names, the same run gives the same page.
    with matplotlib.rc_context({"svg.hashsalt": "l2o"}):
        text = _saved(figure, format="svg", metadata={"Date": None}).decode()
    return Markup(text[text.index("<svg") :])
