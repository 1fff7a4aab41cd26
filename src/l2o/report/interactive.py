"""Figures on pages: they can be hovered and zoomed, and their series switched off.

What is drawn stands once, in a figure of matplotlib; its lines, bands, bars, fields of colours and
texts are read from there and handed to plotly, a plot for each panel, so that panels stand side by
side where there is room and below each other where there is none. The picture that matplotlib makes
of it is on the page as well: it is what is printed, and what is seen where scripts do not run.

Artists of one `gid` are one series: the legend switches them together.
"""

import base64
import html
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryLocator
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import LogNorm, to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator
from plotly.basedatatypes import BaseTraceType
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from l2o.report.drawing import GRID, as_png
from l2o.support.atomic import write_atomically

_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_MARKERS = {
    "o": "circle",
    ".": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "D": "diamond",
    "P": "cross",
    "+": "cross-thin-open",
}
_FONT = {"family": 'Inter, "Helvetica Neue", Arial, sans-serif', "size": 13, "color": "#333333"}
_HEIGHT = 380
_LEGEND_ROW = 12
_TEXT_HEIGHT = 120
_CONFIG = '{"responsive": true, "displaylogo": false}'
# Of lines of texts in a panel and beside its axes, in characters.
_TEXT_WIDTH = 38
_TITLE_WIDTH = 42
# Whole numbers up to so many apart have a tick each.
_FEW = 10
# Powers of ten on an axis, and for how many there is room for others between them.
_MOST_DECADES = 6
_FEW_DECADES = 1.5


def scripts() -> Markup:
    """What the head of a page with interactive figures needs, plotly itself: nothing is loaded."""
    live = 'document.documentElement.classList.add("live");'
    return Markup(f"<script>{get_plotlyjs()}</script>\n<script>{live}</script>")


def place(figure: Figure, folder: Path, file: str) -> Markup:
    """Makes a figure a part of a page whose head has `scripts()`, and writes its picture.

    **Arguments:** `figure`, of lines, bands of `fill_between`, bars, `pcolormesh` and texts;
    `folder`, of the page; `file`, of the picture from there, such as `figures/losses.png`, with a
    name that no other figure of the page has.

    **Raises:** `TypeError` for a figure with anything else in it; `OSError` if the picture cannot
    be written.
    """
    name, png = Path(file).stem, as_png(figure)
    write_atomically(folder / file, png)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    plots = {f"{name}-{number}": _as_plot(axes) for number, axes in enumerate(panels)}
    boxes = [
        Markup('<div class="plot"><p>{}</p><div id="{}"></div></div>').format(_title(axes), place)
        for axes, place in zip(panels, plots, strict=True)
    ]
    # Only once all boxes are there is it known how wide each is.
    calls = [
        f'Plotly.newPlot("{place}", {_as_script(plot)}, {_CONFIG});'
        for place, plot in plots.items()
    ]
    note = " ".join(filter(None, [figure.get_suptitle(), figure.get_supxlabel()]))
    return Markup(
        '<div class="plots" style="--columns: {}">\n{}\n</div>\n<script>\n{}\n</script>\n'
        '<img class="print" alt="{}" src="data:image/png;base64,{}">\n'
        '<p class="note">{} <a href="{}">PNG for print</a></p>'
    ).format(
        max(_columns(axes) for axes in panels),
        Markup("\n").join(boxes),
        Markup("\n".join(calls)),
        name,
        base64.b64encode(png).decode(),
        note,
        file,
    )


def _columns(axes: Axes) -> int:
    """How many panels stand side by side."""
    place = axes.get_subplotspec()
    return 1 if place is None else place.get_gridspec().ncols


def _as_script(plot: go.Figure) -> str:
    """A plot as the first arguments of `Plotly.newPlot`."""
    described = plot.to_plotly_json()
    # Plotly escapes what would end the script.
    return ", ".join(str(to_json_plotly(described[part])) for part in ("data", "layout"))


def _title(axes: Axes) -> str:
    """As text: a name may be that of any folder."""
    title = axes.get_title() or axes.get_title(loc="left")
    return title.encode(errors="backslashreplace").decode()


def _as_plot(axes: Axes) -> go.Figure:
    """One panel."""
    traces = list(_traces(axes))
    named = sum(bool(trace["showlegend"]) for trace in traces)
    plot = go.Figure(traces)
    plot.update_layout(
        template=go.layout.Template(),
        height=_HEIGHT + _LEGEND_ROW * named if axes.axison else _TEXT_HEIGHT,
        font=_FONT,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hovermode="closest",
        barmode="overlay",
        showlegend=named > 1,
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        xaxis=_axis(axes, axes.xaxis, axes.get_xlim()),
        yaxis=_axis(axes, axes.yaxis, axes.get_ylim()),
    )
    if axes.get_aspect() == 1:
        plot.update_yaxes(scaleanchor="x", constrain="domain")
        plot.update_xaxes(constrain="domain")
    for line in axes.get_lines():
        _add_rule(plot, axes, line)
    for text in axes.texts:
        _add_text(plot, axes, text)
    return plot


def _traces(axes: Axes) -> Iterator[BaseTraceType]:
    """All that has coordinates, what is drawn first first."""
    bars = [each for each in axes.containers if isinstance(each, BarContainer)]
    in_bars = {patch for each in bars for patch in each.patches}
    for artist in (*axes.collections, *bars, *axes.patches, *axes.get_lines()):
        if isinstance(artist, QuadMesh):
            yield _field(axes, artist)
        elif isinstance(artist, PolyCollection):
            yield from _bands(axes, artist)
        elif isinstance(artist, BarContainer):
            yield _bars(artist)
        elif isinstance(artist, Line2D):
            if artist.get_transform() is axes.transData:
                yield _line(axes, artist)
        elif artist not in in_bars:
            raise TypeError(f"A {type(artist).__name__} cannot be made interactive.")


def _line(axes: Axes, line: Line2D) -> go.Scatter:
    """A line, points, or both."""
    marker, dash = str(line.get_marker()), str(line.get_linestyle())
    modes = [
        *(["lines"] if dash in _DASHES else []),
        *(["markers"] if marker in _MARKERS else []),
    ]
    x, y = np.asarray(line.get_xydata(), np.float64).T
    colour = to_hex(line.get_color())
    return go.Scatter(
        x=_shown(axes.xaxis, x),
        y=_shown(axes.yaxis, y),
        customdata=np.stack([x, y], axis=1),
        mode="+".join(modes),
        line={"color": colour, "width": line.get_linewidth(), "dash": _DASHES.get(dash)},
        marker={
            "symbol": _MARKERS.get(marker),
            "color": to_hex(line.get_markerfacecolor()),
            "size": (0.6 if marker == "." else 1.2) * line.get_markersize(),
            "line": {"color": colour, "width": 1},
        },
        opacity=1.0 if line.get_alpha() is None else line.get_alpha(),
        hovertemplate="%{customdata[0]:.5g}, %{customdata[1]:.5g}",
        **_series(line),
    )


def _bands(axes: Axes, band: PolyCollection) -> Iterator[go.Scatter]:
    """What `fill_between` has filled."""
    red, green, blue, alpha = np.asarray(band.get_facecolor())[0]
    for path in band.get_paths():
        x, y = np.asarray(path.vertices).T
        yield go.Scatter(
            x=_shown(axes.xaxis, x),
            y=_shown(axes.yaxis, y),
            mode="lines",
            fill="toself",
            fillcolor=f"rgba({255 * red:.0f},{255 * green:.0f},{255 * blue:.0f},{alpha:.2f})",
            line={"width": 0},
            hoverinfo="skip",
            **_series(band),
        )


def _bars(bars: BarContainer) -> go.Bar:
    """Bars with the places and widths that they have."""
    # Pairs of corners, also where there is no bar.
    boxes = np.array([patch.get_bbox().get_points() for patch in bars.patches]).reshape(-1, 2, 2)
    middles, sizes = boxes.mean(1), np.ptp(boxes, axis=1)
    across = 1 if bars.orientation == "horizontal" else 0
    values = np.asarray(bars.datavalues)
    return go.Bar(
        x=values if across else middles[:, 0],
        y=middles[:, 1] if across else values,
        width=sizes[:, across],
        orientation="h" if across else "v",
        marker={"color": [to_hex(patch.get_facecolor()) for patch in bars.patches]},
        hovertemplate=f"%{{{'x' if across else 'y'}:.5g}}<extra></extra>",
        showlegend=False,
    )


def _field(axes: Axes, mesh: QuadMesh) -> go.Heatmap:
    """Values on a grid; their logarithms have the colours where that is so in the figure."""
    values = np.ma.filled(np.ma.asarray(mesh.get_array(), np.float64), np.nan)
    corners = np.asarray(mesh.get_coordinates())
    centres = (corners[1:, 1:] + corners[:-1, :-1]) / 2
    is_logarithmic = isinstance(mesh.norm, LogNorm)
    low, high = mesh.get_clim()
    ends = np.log10([low, high]) if is_logarithmic else np.array([low, high])
    ticks = np.linspace(ends[0], ends[1], 5)
    shares = np.linspace(0, 1, 16)
    colours = mesh.cmap(shares)
    return go.Heatmap(
        x=centres[0, :, 0],
        y=centres[:, 0, 1],
        z=np.log10(values) if is_logarithmic else values,
        customdata=values,
        zmin=ends[0],
        zmax=ends[1],
        colorscale=[[share, to_hex(c)] for share, c in zip(shares, colours, strict=True)],
        colorbar={
            "tickvals": ticks,
            "ticktext": [f"{10**tick if is_logarithmic else tick:.3g}" for tick in ticks],
            "thickness": 14,
        },
        hovertemplate="%{x:.3g}, %{y:.3g}: %{customdata:.5g}<extra></extra>",
        showlegend=False,
    )


def _add_rule(plot: go.Figure, axes: Axes, line: Line2D) -> None:
    """Draws what `axhline` and `axvline` draw: lines from one end of the panel to the other."""
    if line.get_transform() is axes.transData:
        return
    look = {"color": to_hex(line.get_color()), "width": line.get_linewidth()}
    look["dash"] = _DASHES[str(line.get_linestyle())]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    if x[0] == x[1]:
        plot.add_vline(float(_shown(axes.xaxis, x[:1])[0]), line=look)
    else:
        plot.add_hline(float(_shown(axes.yaxis, y[:1])[0]), line=look)


def _add_text(plot: go.Figure, axes: Axes, text: Text) -> None:
    """Writes a text at its place, in lines that are short."""
    x, y = text.get_position()
    within = text.get_transform() is axes.transAxes
    side = "left" if x < np.mean(axes.get_xlim()) else "right"
    plot.add_annotation(
        x=x,
        y=y,
        xref="x domain" if within else "x",
        yref="y domain" if within else "y",
        xanchor="center" if within else side,
        text=_in_lines(text.get_text(), _TEXT_WIDTH),
        showarrow=False,
    )


def _axis(axes: Axes, axis: Axis, limits: tuple[float, float]) -> dict[str, object]:
    """How plotly is to draw an axis."""
    is_logarithmic = axis.get_scale() == "log"
    ends = _shown(axis, np.asarray(limits, np.float64))
    described: dict[str, object] = {
        "visible": axes.axison,
        "title": {
            "text": _in_lines(axis.get_label_text(), _TITLE_WIDTH),
            "standoff": 8,
            "font": {"size": _FONT["size"]},
        },
        "type": "log" if is_logarithmic else "linear",
        "range": np.log10(ends) if is_logarithmic else ends,
        "gridcolor": GRID,
        "linecolor": "#333333",
        "ticks": "outside",
        "zeroline": False,
        "automargin": True,
        # Superscripts would be too small to read.
        "exponentformat": "e",
    }
    if axis.get_scale() == "symlog" or isinstance(
        axis.get_major_locator(), FixedLocator | StrCategoryLocator
    ):
        named = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        inside = [(at, label) for at, label in named if min(limits) <= at <= max(limits)]
        texts = [_tick(axis, at, label) for at, label in inside]
        described["tickvals"] = _shown(axis, np.array([at for at, _ in inside]))
        described["ticktext"] = texts
    elif is_logarithmic:
        decades = float(abs(np.diff(np.log10(ends))[0]))
        described["dtick"] = np.ceil(decades / _MOST_DECADES) if decades > _FEW_DECADES else "D2"
        described["tickformat"] = "~g"
    elif abs(limits[1] - limits[0]) <= _FEW and _has_whole_ticks(axis):
        described["dtick"] = 1
    return described


def _tick(axis: Axis, at: float, label: Text) -> str:
    """The name of a tick, as text."""
    return f"{at:.0e}" if axis.get_scale() == "symlog" and at else _escaped(label.get_text())


def _has_whole_ticks(axis: Axis) -> bool:
    """Whether the figure has ticks at whole numbers alone."""
    ticks = np.asarray(axis.get_majorticklocs())
    return bool(np.array_equal(ticks, np.round(ticks)))


def _shown(axis: Axis, values: Float[np.ndarray, " values"]) -> Float[np.ndarray, " values"]:
    """Where values are on an axis of plotly, which knows no symmetric logarithm."""
    values = np.asarray(values, np.float64)
    return axis.get_transform().transform(values) if axis.get_scale() == "symlog" else values


def _series(artist: Artist) -> dict[str, object]:
    """What the legend calls an artist, and with which others it switches it."""
    label = str(artist.get_label())
    is_named = bool(label) and not label.startswith("_")
    group = artist.get_gid() or (label if is_named else None)
    name = _escaped(label if is_named else group or "")
    return {"name": name, "legendgroup": group, "showlegend": is_named}


def _in_lines(text: str, width: int) -> str:
    """Text in lines that are short enough for narrow windows."""
    return "<br>".join(
        _escaped(part) for line in text.splitlines() for part in textwrap.wrap(line, width)
    )


def _escaped(text: str) -> str:
    """Text of a figure for plotly, which takes tags for what they are."""
    readable = text.encode(errors="backslashreplace").decode()
    return html.escape(readable, quote=False)
