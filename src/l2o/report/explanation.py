"""The page about how optimizers work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2o.mechanisms import Explanation, Inapplicable, LinearResponse, Presence
from l2o.report.distillation import Distillation
from l2o.report.drawing import blank_figure, say, style, whole_steps
from l2o.report.files import FIGURES
from l2o.report.interactive import place, scripts
from l2o.report.pages import render_page, versions
from l2o.support.atomic import write_atomically

_MOST_MODES = 12


@dataclass(frozen=True)
class Subject:
    """An optimizer to be explained on a page."""

    explanation: Explanation
    origin: str
    """What it is and where it comes from, in a sentence."""
    distillation: Distillation | None = None
    """Its closed form, where one was asked for."""

    def as_dict(self) -> dict[str, Any]:
        """What was found, for JSON."""
        found = self.explanation.as_dict()
        if self.distillation is not None:
            found["distillation"] = self.distillation.as_dict()
        return found


Draw = Callable[[Explanation, Axes], None]


@dataclass(frozen=True)
class _Section:
    """One analysis on the page."""

    name: str
    """What its sentence is called in `Explanation.findings`."""
    title: str
    draw: tuple[Draw, ...]
    """A row of panels each."""
    caption: str
    method: str


def _draw_response(explanation: Explanation, axes: Axes) -> None:
    _draw_or_say(explanation.momentum, axes)


def _draw_eigenvalues(explanation: Explanation, axes: Axes) -> None:
    momentum = explanation.momentum
    _draw_or_say(momentum.linearization if isinstance(momentum, LinearResponse) else momentum, axes)


def _draw_update_function(explanation: Explanation, axes: Axes) -> None:
    explanation.update_function.draw(axes)


def _draw_gradients(explanation: Explanation, axes: Axes) -> None:
    _draw_or_say(explanation.record, axes)
    saturation = explanation.update_function.saturation
    if saturation.saturates:
        axes.axvline(np.log10(saturation.half_height), color="#D55E00", linestyle="--")


def _draw_schedule(explanation: Explanation, axes: Axes) -> None:
    explanation.schedule.draw(axes)
    whole_steps(axes)
    rates = explanation.schedule.effective_learning_rate
    if np.all(np.isfinite(rates)):
        axes.set_ylim(min(0.0, 1.1 * float(rates.min())), 1.1 * float(rates.max()) or 1.0)


def _draw_adaptation(explanation: Explanation, axes: Axes) -> None:
    curve = explanation.adaptation
    curve.draw(axes)
    rates = curve.telling_learning_rate
    if np.all(rates[np.isfinite(rates)] > 0):
        axes.set_yscale("log")
        if explanation.mechanisms.adaptation.presence is not Presence.PRESENT:
            middle = float(np.nanmedian(rates))
            axes.set_ylim(middle / 10, middle * 10)
    axes.legend(frameon=False, fontsize=8)


def _draw_states(explanation: Explanation, axes: Axes) -> None:
    _draw_or_say(explanation.state_space, axes)


def _draw_or_say(analysis: Any, axes: Axes) -> None:
    """Draws an analysis, or writes why there is none."""
    if isinstance(analysis, Inapplicable):
        say(axes, analysis.reason)
        axes.set_axis_off()
    else:
        analysis.draw(axes)


_SECTIONS = (
    _Section(
        "momentum",
        "Momentum",
        (_draw_response, _draw_eigenvalues),
        "First the response of updates to a gradient that is larger by 1 for one step, then the "
        "eigenvalues of the Jacobian of the state in the complex plane, with the unit circle; an "
        "eigenvalue near 1 is a long memory. One optimizer a column, nothing random.",
        "The state settles under a gradient, and then meets none: momentum is what goes on in the "
        "same direction. Its betas and alphas are the eigenmodes of the response to first order, "
        "from Jacobians at settled states, at several gradients and, where time matters, at "
        "several times at which the optimizer is alive; of an optimizer that averages gradients "
        "and their sizes, of the response to a gradient of the other sign, which sizes do not "
        "notice. The figure is of the fixed point without a gradient, or under the constant one "
        "named above.",
    ),
    _Section(
        "clipping",
        "Gradient clipping",
        (_draw_update_function,),
        "The update against the gradient at one state; dashed, the slope at zero: what the "
        "effective learning rate alone would give.",
        "The update function is evaluated at the initial state, or at the state named above for "
        "optimizers that are singular there. It saturates if a gradient a hundred times as large "
        "gives at most 5 % more of an update, up to gradients of 1e12. That is clipping if it is "
        "so whatever gradients were met before, and not only because updates are divided by the "
        "sizes of gradients.",
    ),
    _Section(
        "schedule",
        "Learning-rate schedule",
        (_draw_schedule,),
        "The learning rate against the step, whatever gradients are met; above it stands for "
        "which.",
        "What follows from the time alone (counters, and numbers of the state that evolve whatever "
        "the gradient) is set apart; at each step, what remembers gradients is settled with the "
        "time held, so that only the time changes the learning rate. Where that shows a counter "
        "that makes up for averages starting at zero, updates under a constant gradient from the "
        "start are taken instead, in which it cancels. Of a network, the state is followed "
        "without a gradient. A law is named where it fits clearly better than constant, linear, "
        "cosine, exponential and power laws, each with a warm-up or without.",
    ),
    _Section(
        "adaptation",
        "Learning-rate adaptation",
        (_draw_adaptation,),
        "The effective learning rate after a long time under a constant gradient, against the size "
        "of that gradient, one line a sign.",
        "With the time held, the state is followed to its fixed point for each constant "
        "gradient, or meets gradients whose signs alternate; the effective learning rate is minus "
        "the slope of the update function at zero gradient there. Where the update jumps at zero, "
        "that slope tells nothing, and it is half the difference of the updates for "
        "the gradient and its opposite, over the gradient.",
    ),
)

_TASK_SECTIONS = (
    _Section(
        "clipping",
        "Gradients met on the task",
        (_draw_gradients,),
        "The density of the sizes of gradients met on the run's task; dashed, where the update is "
        "half its largest. Gradients to the right of it are clipped.",
        "Gradients are recorded while the optimizer works on fresh validation tasks.",
    ),
    _Section(
        "state space",
        "State space",
        (_draw_states,),
        "States visited on the task (gray, one line a parameter) in the plane of the first two "
        "principal components; the fixed point, and the fixed points under constant gradients of "
        "both signs.",
        "Recorded gradients are fed to the optimizer's dynamics in double precision; the principal "
        "components are those of all states on the way.",
    ),
)


def write_explanation(subjects: Mapping[str, Subject], path: Path, *, command: str) -> None:
    """Writes a page about how some optimizers work, side by side, and its figures beside it.

    **Arguments:** `subjects`, by name, the main one first; `path`, of the page; `command`, that
    makes it again.

    **Raises:** `OSError` if a file cannot be written.
    """
    explanations = {name: subject.explanation for name, subject in subjects.items()}
    first = next(iter(subjects))
    has_task = any(explanation.record is not None for explanation in explanations.values())
    sections = []
    for section in _SECTIONS + (_TASK_SECTIONS if has_task else ()):
        shown = {
            name: explanation
            for name, explanation in explanations.items()
            if section not in _TASK_SECTIONS or explanation.record is not None
        }
        figure = _draw(section, shown)
        file = section.title.lower().replace(" ", "-")
        sections.append(
            {
                "title": section.title,
                "sentences": {
                    name: explanation.findings[section.name]
                    for name, explanation in shown.items()
                    if section.name in explanation.findings
                },
                "image": place(figure, path.parent, f"{FIGURES}/{file}.png"),
                "caption": section.caption,
                "method": section.method,
            }
        )
    others = [name for name in subjects if name != first]
    closed_form = subjects[first].distillation
    image = None
    if closed_form is not None:
        image = place(closed_form.draw(), path.parent, f"{FIGURES}/closed-form.png")
    page = render_page(
        "explanation.html.jinja",
        title=f"How {first} works",
        description=f"Side by side with {', '.join(others)}." if others else "",
        subjects=subjects,
        mechanisms=list(subjects[first].explanation.mechanisms.presence),
        sections=sections,
        modes={name: _mode_rows(explanation) for name, explanation in explanations.items()},
        command=command,
        closed_form=closed_form,
        closed_form_image=image,
        versions=versions(),
        scripts=scripts(),
    )
    write_atomically(path, page)


def _draw(section: _Section, explanations: Mapping[str, Explanation]) -> Figure:
    """One row for each kind of panel, one column for each optimizer."""
    columns, rows = len(explanations), len(section.draw)
    width = max(3.6 * columns, 6.2)
    figure = blank_figure(width, 3.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for row, draw in zip(panels, section.draw, strict=True):
        for axes, (name, explanation) in zip(row, explanations.items(), strict=True):
            style(axes)
            draw(explanation, axes)
            # A name may be that of any folder.
            shown = name.encode(errors="backslashreplace").decode()
            axes.set_title(shown, fontsize=10, loc="left")
    return figure


def _mode_rows(explanation: Explanation) -> list[dict[str, str]]:
    """The largest modes as text."""
    if isinstance(explanation.momentum, Inapplicable):
        return []
    return [
        {
            "beta": _complex(mode.beta),
            "alpha": _complex(mode.alpha),
            "time_constant": f"{mode.time_constant:.4g}",
            "num_eigenvalues": str(mode.num_eigenvalues),
        }
        for mode in explanation.momentum.modes[:_MOST_MODES]
    ]


def _complex(number: complex) -> str:
    return f"{number.real:.6g}" + (f" {number.imag:+.3g}i" if number.imag else "")
