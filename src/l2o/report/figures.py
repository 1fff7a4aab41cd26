"""The figures of a report. Every one says what its axes, its band and its number of runs are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.evaluation import Evaluation, metric_label
from l2o.report.comparison import Setting
from l2o.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    blank_figure,
    say,
    style,
    whole_steps,
)

# Line styles tell baselines apart once colours are used up.
_LEARNED = VERMILION
_BASELINES = (BLUE, GREEN, PURPLE, SKY, ORANGE, "#000000")
_STYLES = ("-", "--", ":")

# Curves with more points are averaged over neighbouring steps, or noise would hide them.
_MOST_POINTS = 250

_BAND = "95 % confidence interval of the mean"


def loss_curves(settings: Sequence[Setting], learned: str) -> Figure:
    """Training loss against steps, one panel for each setting.

    **Arguments:** `settings`, at least one; `learned`, the name of the learned optimizer, drawn
    to stand out.
    """
    columns = min(2, len(settings))
    rows = -(-len(settings) // columns)
    figure = blank_figure(6.4 if len(settings) == 1 else 9.6, 3.9 * rows)
    for index, setting in enumerate(settings):
        axes = figure.add_subplot(rows, columns, index + 1)
        _draw_losses(axes, setting.evaluation, learned)
        axes.set_title(setting.title, fontsize=10)
        if index == 0:
            axes.legend(frameon=False, fontsize=8.5)
    counts = sorted({setting.evaluation.num_tasks for setting in settings})
    runs = " or ".join(map(str, counts))
    _note(figure, f"Lines: mean over {runs} runs; bands: {_BAND}.")
    return figure


def paired_differences(setting: Setting, learned: str, metric: str) -> Figure:
    """The difference in a metric between the learned optimizer and each baseline.

    **Arguments:** `setting`; `learned`, the name of the learned optimizer; `metric`, one that is
    to be small, as `Evaluation.compare` takes it.
    """
    evaluation = setting.evaluation
    baselines = [name for name in evaluation.runs if name != learned]
    figure = blank_figure(6.4, 1.6 + 0.36 * len(baselines))
    axes = figure.add_subplot()
    style(axes)
    for row, name in enumerate(baselines):
        difference = evaluation.compare(learned, name, metric)
        if np.isfinite(difference.mean):
            # Of a single task there is no interval.
            axes.plot(difference.interval, [row, row], color=_LEARNED, linewidth=2)
            axes.plot(difference.mean, row, "o", color=_LEARNED, markersize=6)
        else:
            axes.text(0, row, "  not finite: some runs diverged", va="center", fontsize=8.5)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(baselines)), [f"against {name}" for name in baselines])
    if not baselines:
        say(axes, "There are no baselines.")
    axes.set_ylim(max(1, len(baselines)) - 0.5, -0.5)
    axes.set_xlabel(
        f"{metric_label(metric)} of {learned}\n"
        f"less that of the baseline\n(left: {learned} is better)"
    )
    intervals = " and 95 % interval" if evaluation.num_tasks > 1 else ", without an interval,"
    _note(figure, f"Mean{intervals} over {evaluation.num_tasks} paired run(s).")
    return figure


def held_out(setting: Setting, learned: str, metric: str) -> Figure:
    """A held-out metric of every optimizer at the end of its runs."""
    evaluation = setting.evaluation
    figure = blank_figure(6.4, 1.4 + 0.36 * len(evaluation.runs))
    axes = figure.add_subplot()
    style(axes)
    colours, _ = _looks(evaluation, learned)
    for row, (name, runs) in enumerate(evaluation.runs.items()):
        mean, half_width = _mean_and_half_width(runs.metrics[metric][:, None])
        ends = (mean - half_width).item(), (mean + half_width).item()
        axes.plot(ends, (row, row), color=colours[name], linewidth=2)
        axes.plot(mean, [row], "o", color=colours[name], markersize=6)
    axes.set_yticks(range(len(evaluation.runs)), list(evaluation.runs))
    axes.set_ylim(len(evaluation.runs) - 0.5, -0.5)
    axes.set_xlabel(f"{metric_label(metric)} after {evaluation.num_steps} steps")
    _note(figure, f"Mean and {_BAND} over {evaluation.num_tasks} runs.")
    return figure


def meta_training(history: Sequence[Mapping[str, Any]], windows: int) -> Figure:
    """Meta-loss and validation score against meta-steps.

    **Arguments:** `history`, the entries of a run's metrics, with `meta_step`, `meta_loss` and,
    where it was measured, `validation_score`; `windows`, the number of meta-steps in which tasks
    run their course, over which the meta-loss is averaged.
    """
    figure = blank_figure(6.4, 3.6)
    axes = figure.add_subplot()
    style(axes)
    losses = _series(history, "meta_loss")
    steps, values = (_binned(series, windows) for series in losses)
    averaged = max(1, min(windows, len(losses[1])))
    label = f"meta-loss on training tasks, mean of {averaged} meta-steps"
    axes.plot(steps, values, color="#9A9A9A", label=label)
    scores = _series(history, "validation_score")
    axes.plot(*scores, "o-", color=_LEARNED, markersize=4, label="objective on validation tasks")
    if np.all(values > 0) and np.all(scores[1] > 0):
        axes.set_yscale("log")
    axes.set_xlabel("meta-step (updates of the optimizer's weights)")
    whole_steps(axes)
    axes.set_ylabel("loss of the tasks")
    if np.any(np.isfinite(np.concatenate([values, scores[1]]))):
        axes.legend(frameon=False, fontsize=8.5)
    else:
        say(axes, "No loss is finite: there is nothing to draw.")
    _note(figure, "One run of meta-training; every point is a mean over the tasks of that time.")
    return figure


def _note(figure: Figure, text: str) -> None:
    """Says below a figure what it shows."""
    figure.supxlabel(text, fontsize=8.5, color="#555555")


def _series(
    history: Sequence[Mapping[str, Any]], field: str
) -> tuple[Float[np.ndarray, " entries"], Float[np.ndarray, " entries"]]:
    """Meta-steps and values of the entries that have the field."""
    entries = [entry for entry in history if entry.get(field) is not None]
    steps, values = ([entry[name] for entry in entries] for name in ("meta_step", field))
    return np.array(steps, float), np.array(values, float)


def _binned(values: Float[np.ndarray, "*tasks points"], size: int) -> np.ndarray:
    """The means of `size` neighbours at a time along the last axis; the rest is left out."""
    size = max(1, min(size, values.shape[-1]))
    whole = values[..., : values.shape[-1] // size * size]
    with np.errstate(invalid="ignore", over="ignore"):
        return whole.reshape(*values.shape[:-1], -1, size).mean(-1, dtype=np.float64)


def _draw_losses(axes: Axes, evaluation: Evaluation, learned: str) -> None:
    """Every optimizer's loss curve."""
    style(axes)
    colours, styles = _looks(evaluation, learned)
    bin_size = -(-(evaluation.num_steps + 1) // _MOST_POINTS)
    starts, lows = [], []
    for name, runs in evaluation.runs.items():
        mean, half_width = _mean_and_half_width(_binned(runs.curves, bin_size))
        steps = _binned(np.arange(runs.losses.shape[1], dtype=float), bin_size)
        diverged = int(np.sum(runs.diverged))
        label = f"{name} ({diverged} of {evaluation.num_tasks} diverged)" if diverged else name
        is_learned = name == learned
        axes.plot(
            steps,
            mean,
            styles[name],
            color=colours[name],
            linewidth=2.4 if is_learned else 1.4,
            zorder=3 if is_learned else 2,
            label=label,
            gid=label,
        )
        low, high = mean - half_width, mean + half_width
        axes.fill_between(steps, low, high, color=colours[name], alpha=0.18, lw=0, gid=label)
        starts.append(mean[0])
        lows.append(np.nanmin(np.where(np.isfinite(mean), mean, np.nan)))
    if min(lows) > 0:
        axes.set_yscale("log", nonpositive="clip")
        # Runs that diverge must not squeeze the others into a line.
        axes.set_ylim(0.8 * min(lows), 2 * max(starts))
    axes.set_xlabel("step")
    whole_steps(axes)
    averaged = f", mean of {bin_size} steps" if bin_size > 1 else ""
    axes.set_ylabel(f"training loss (minibatch{averaged})")


def _looks(evaluation: Evaluation, learned: str) -> tuple[dict[str, str], dict[str, str]]:
    """The colour and the line style of every optimizer."""
    baselines = [name for name in evaluation.runs if name != learned]
    colours, styles = {learned: _LEARNED}, {learned: "-"}
    for index, name in enumerate(baselines):
        colours[name] = _BASELINES[index % len(_BASELINES)]
        styles[name] = _STYLES[index // len(_BASELINES) % len(_STYLES)]
    return colours, styles


def _mean_and_half_width(
    values: Float[np.ndarray, "tasks points"],
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The mean over tasks and half its confidence interval; zero for a single task."""
    num_tasks = len(values)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.asarray(np.mean(values, axis=0, dtype=np.float64))
        if num_tasks == 1:
            return mean, np.zeros_like(mean)
        sem = np.std(values, axis=0, ddof=1, dtype=np.float64) / np.sqrt(num_tasks)
    return mean, float(scipy.stats.t.ppf(0.975, num_tasks - 1)) * sem
