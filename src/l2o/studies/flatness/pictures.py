"""The figures of the page."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from l2o.flatness import LossSurface
from l2o.report.drawing import BLUE, GREEN, VERMILION, blank_figure, style, whole_steps
from l2o.report.flatness import loss_lines, loss_planes
from l2o.report.plain import number
from l2o.studies.flatness.rows import Compared, Results
from l2o.studies.flatness.titles import method_title

_SHOWN: tuple[Compared, ...] = ("test_accuracy", "test_loss")


def draw_all(results: Results) -> dict[str, Figure]:
    """All figures, by name."""
    return {
        "differences": draw_differences(results),
        "bounds": draw_bounds(results),
        "loss-lines": loss_lines(_surfaces(results, "1")),
        "loss-planes": loss_planes(_surfaces(results, "2")),
    }


def draw_differences(results: Results) -> Figure:
    """Draws the change of test accuracy and of test loss by every method, in every cell."""
    comparisons = [each for each in results["comparisons"] if each["regularizer"] is not None]
    methods = list(dict.fromkeys(method_title(results, each) for each in comparisons))
    architectures = list(dict.fromkeys(each["architecture"] for each in comparisons))
    colours = dict(zip(architectures, (VERMILION, BLUE, GREEN), strict=False))
    figure = blank_figure(11.0, 1.8 + 0.6 * len(methods))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, scale in zip(panels, _SHOWN, (100, 1), strict=True):
        style(axes)
        axes.axvline(0, color="#555555", linewidth=1)
        for row, method in enumerate(methods):
            cells = [each for each in comparisons if method_title(results, each) == method]
            for place, each in enumerate(cells):
                height = row + 0.7 * ((place + 0.5) / len(cells) - 0.5)
                low, high = (scale * number(end) for end in each[metric]["interval"])
                colour = colours[each["architecture"]]
                axes.plot([low, high], [height, height], color=colour, linewidth=1.4)
                axes.plot(
                    scale * number(each[metric]["difference"]), height, "o", color=colour, ms=4
                )
        axes.set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    # Networks that diverge must not squeeze the others into a line.
    panels[1].set_xscale("symlog", linthresh=1.0)
    panels[0].set_xlabel("change of test accuracy (percentage points)")
    panels[1].set_xlabel("change of test loss (nats)")
    for architecture, colour in colours.items():
        panels[1].plot([], [], "o-", color=colour, label=architecture)
    panels[1].legend(frameon=False, fontsize=8)
    settings = results["settings"]
    figure.supxlabel(
        "Against meta-training without it: dots, means over "
        f"{settings['num_seeds']} networks with {len(settings['meta_seeds'])} meta-seeds averaged; "
        "lines, 95 % intervals over networks. One dot a kind of network.",
        fontsize=8.5,
        color="#555555",
    )
    return figure


def draw_bounds(results: Results) -> Figure:
    """Draws both bounds and what they bound along trainings, a panel each."""
    bounds = results["bounds"]
    columns = min(2, len(bounds))
    rows = -(-len(bounds) // columns)
    figure = blank_figure(4.6 * columns, 3.2 * rows + 0.5)
    sides = (
        ("upper", "tr(H) / gamma", BLUE),
        ("twice_gap", "2 Delta", VERMILION),
        ("logarithm", "ln(1 + lambda_max / gamma)", GREEN),
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, (title, found) in zip(panels.ravel(), bounds.items(), strict=False):
        style(axes)
        for name, label, colour in sides:
            values = np.array(found[name], np.float64)
            axes.plot(found["steps"], values, color=colour, linewidth=0.6, alpha=0.4)
            axes.plot(found["steps"], np.median(values, 1), color=colour, linewidth=2, label=label)
        axes.set_yscale("log")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        whole_steps(axes)
    for axes in panels.ravel()[len(bounds) :]:
        axes.set_axis_off()
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel(
        "Thin lines: each network, what is negative left out; thick lines: medians.",
        fontsize=8.5,
        color="#555555",
    )
    return figure


def _surfaces(results: Results, dimensions: Literal["1", "2"]) -> dict[str, LossSurface]:
    """The slices as they were, but for their directions."""
    return {
        title: LossSurface(
            jnp.asarray(found[dimensions]["coordinates"], jnp.float32),
            jnp.asarray(found[dimensions]["losses"], jnp.float32),
            ((),) * int(dimensions),
        )
        for title, found in results["surfaces"].items()
    }
