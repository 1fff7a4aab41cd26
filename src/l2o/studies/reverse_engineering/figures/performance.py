"""Figure 1: the tasks, and the loss of learned and tuned optimizers on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.report.drawing import BLUE, GREEN, PURPLE, VERMILION, whole_steps
from l2o.report.plain import number
from l2o.runs import Recipe, make_family
from l2o.studies.reverse_engineering.figures.canvas import (
    array,
    grid,
    legend,
    note,
    paper_points,
    seed_colour,
)
from l2o.studies.reverse_engineering.rows import Column
from l2o.support.strict_json import to_json
from l2o.tasks import datasets

_BASELINES = {"momentum": BLUE, "rmsprop": GREEN, "adam": PURPLE}
_NUM_QUADRATICS = 2000
_NUM_POINTS = 300
_LOWEST_LOSS = 1e-8


def draw_performance(columns: Sequence[Column]) -> Figure:
    """Draws the figure from the entries of `results.json`."""
    figure, (top, bottom) = grid(columns, (2.2, 3.0))
    for upper, lower, column in zip(top, bottom, columns, strict=True):
        _draw_task(upper, column)
        _draw_losses(lower, column)
    legend(bottom[0])
    counts = sorted({column["performance"]["num_tasks"] for column in columns})
    note(
        figure,
        "Lines: mean training loss over "
        f"{' or '.join(map(str, counts))} test problems; bands: standard error of the mean. "
        "Diamonds: the paper's curves (256 units), in the colour of the optimizer.",
    )
    return figure


def _draw_task(axes: Axes, column: Column) -> None:
    """A picture of the task, as the paper has it."""
    recipe = Recipe.from_json(to_json(column["settings"]["recipe"]), Path("results.json"))
    task = recipe.task
    if task.name == "quadratic":
        family = make_family(task, "test")
        keys = jax.random.split(jax.random.key(0), _NUM_QUADRATICS)
        tasks: Any = jax.vmap(family.sample)(keys)
        eigenvalues = np.linalg.eigvalsh(np.asarray(tasks.hessian, float))
        condition = np.log10(eigenvalues[:, -1] / np.maximum(eigenvalues[:, 0], 1e-12))
        axes.hist(condition, bins=40, range=(0, 3.2), density=True, color="#9A9A9A")
        axes.set_xlabel("log10 of the condition number")
        axes.set_ylabel("density")
    elif task.name == "rosenbrock":
        x, y = np.meshgrid(np.linspace(-2, 2, 120), np.linspace(-1, 3, 120))
        loss = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        axes.grid(False)
        image = axes.imshow(
            np.log10(loss + 1e-3), extent=(-2, 2, -1, 3), origin="lower", cmap="viridis"
        )
        axes.figure.colorbar(image, ax=axes, label="log10 of the loss", shrink=0.8)
        axes.plot(1, 1, "*", color="white", markersize=10)
    elif task.name == "two-moons":
        points = datasets.two_moons()
        inputs = np.asarray(points.train_inputs)[:_NUM_POINTS]
        labels = np.asarray(points.train_labels)[:_NUM_POINTS]
        for label, colour in ((0, BLUE), (1, VERMILION)):
            axes.plot(*inputs[labels == label].T, ".", color=colour, markersize=4)
        axes.set_aspect("equal")
    else:
        axes.axis("off")
        axes.text(0.5, 0.5, column["title"], ha="center", va="center", wrap=True)


def _draw_losses(axes: Axes, column: Column) -> None:
    """All loss curves of a task."""
    smallest = np.inf
    labelled = set()
    for optimizer in column["performance"]["optimizers"]:
        name = optimizer["name"]
        mean, sem = array(optimizer["mean_loss"]), array(optimizer["sem_loss"])
        steps = np.arange(mean.size)
        seed = optimizer["seed"]
        colour = _BASELINES[name] if seed is None else seed_colour(column, seed)
        label = name if seed is None else "learned, one line a meta-seed"
        axes.plot(
            steps,
            mean,
            color=colour,
            linewidth=1.6,
            zorder=2 if seed is None else 3,
            label=None if label in labelled else label,
        )
        labelled.add(label)
        axes.fill_between(steps, mean - sem, mean + sem, color=colour, alpha=0.18, lw=0)
        smallest = min(smallest, float(np.nanmin(mean)))
    if column["published"] is not None:
        for name, points in column["published"]["log10_losses"].items():
            colour = _BASELINES.get(name, VERMILION)
            paper_points(axes, [[step, 10**log] for step, log in points], colour)
    axes.set_yscale("log", nonpositive="clip")
    # Runs that diverge must not squeeze the others into a line.
    start = column["performance"]["optimizers"][0]["mean_loss"][0]
    axes.set_ylim(max(_LOWEST_LOSS, 0.5 * smallest), 3 * number(start))
    axes.set_xlabel("iteration")
    whole_steps(axes)
    axes.set_ylabel("training loss")
