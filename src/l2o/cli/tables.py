"""What commands print when they are done."""

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from l2o import report, runs
from l2o.cli.terminal import PlainConsole
from l2o.composition import (
    ESTIMATOR,
    LEARNED_OPTIMIZER,
    REGULARIZER,
    TASK_FAMILY,
    WEIGHTING,
    Kind,
    members,
    settings_of,
)
from l2o.evaluation.results import metric_label, metrics_of, results_table
from l2o.runs import HAND_DESIGNED, RECIPES, SCHEDULES, Recipe, RunFolder
from l2o.studies import REPRODUCTIONS

if TYPE_CHECKING:
    from l2o.evaluation import Tuned
    from l2o.optimizers import SearchRange
    from l2o.report import Comparison, Distillation, Subject
    from l2o.runs import RunFlatness

_UNLIMITED = 10_000


def print_comparison(comparison: "Comparison") -> None:
    """The results of all optimizers in a table, and who wins."""
    console = PlainConsole()
    _print(_results(comparison.as_dict()), console)
    for setting in (comparison.main, *comparison.others):
        verdict = report.judge(setting, comparison.learned, "objective")
        console.print(f"{setting.title}: {verdict.sentence}")
    if comparison.reused:
        console.print(
            f"Reused from an earlier comparison under the same conditions: the hyperparameters of "
            f"{', '.join(comparison.reused)}.",
        )
    _print_tuning(console, comparison)
    rough = [tuned for tuned in comparison.tuned if tuned.is_rough]
    if rough:
        console.print(
            f"Warning: only {rough[0].scores.size} configurations were tried for "
            f"{', '.join(tuned.name for tuned in rough)}, which can miss by far what is possible."
        )
    for tuned in comparison.tuned:
        if tuned.edges:
            console.print(
                f"Warning: the best {', '.join(tuned.edges)} of {tuned.name} lies on the edge of "
                "its range, which may be too narrow.",
            )


def _print_tuning(console: Console, comparison: "Comparison") -> None:
    """The scores of tuned baselines in tuning and in the comparison."""
    table = Table(title="baselines: the objective they were tuned for")
    table.add_column("optimizer")
    for column in ("in tuning", "in the comparison", "tuning runs", "diverged"):
        table.add_column(column, justify="right")
    for tuned in comparison.tuned:
        fresh = comparison.in_comparison(tuned)
        table.add_row(
            tuned.name,
            f"{tuned.score:.4g} ± {tuned.sem:.2g}",
            f"{fresh.mean:.4g} ± {fresh.sem:.2g}",
            str(tuned.num_runs),
            str(tuned.diverged_runs),
        )
    console.print(table)


def print_tuned(tuned: "Tuned", recipe: Recipe) -> None:
    """The best hyperparameters of a baseline."""
    tasks = runs.make_family(recipe.task, "validation").title
    title = f"{tuned.name} on {tasks}, {tuned.num_steps} steps"
    table = _table(title, "hyperparameter", numbers=("best", "searched"))
    for name, value in tuned.hyperparameters.items():
        edge = " (best is on the edge)" if name in tuned.edges else ""
        searched = _range(tuned.hand_designed.space[name])
        table.add_row(name, f"{value:.4g}", searched + edge)
    console = PlainConsole()
    _print(table, console)
    console.print(
        f"{recipe.training.objective}: {tuned.score:.4g} ± {tuned.sem:.2g} over {tuned.num_runs} "
        f"tasks, {tuned.diverged_runs} of which diverged; best of {len(tuned.scores)} "
        f"configurations, {tuned.num_diverged} of which diverged.",
    )


def print_findings(subjects: "dict[str, Subject]") -> None:
    """What was found about each optimizer: in a sentence, then a line for each mechanism."""
    console = PlainConsole()
    for name, subject in subjects.items():
        console.print(f"{name}: {subject.explanation.summary}")
    for name, subject in subjects.items():
        console.print()
        table = _table(name, "mechanism", "what was found")
        for mechanism, sentence in subject.explanation.findings.items():
            table.add_row(mechanism, sentence)
        _print(table, console)
        console.print(f"What it is: {subject.origin}")
        if subject.explanation.conditions:
            console.print(f"How it was looked at: {' '.join(subject.explanation.conditions)}")
        if subject.distillation is not None:
            print_closed_form(subject.distillation)


def print_closed_form(distillation: "Distillation") -> None:
    """A closed form, and how good it is."""
    console = PlainConsole()
    distilled = distillation.distilled
    console.print("As a formula:", distilled.formula, sep="\n")
    console.print(
        f"It explains {100 * distilled.variance_explained:.1f} % of the variance of updates on "
        "held-out problems."
    )
    title = f"{distillation.objective}, {distillation.num_tasks} tasks"
    table = _table(title, "optimizer", numbers=("mean",))
    for score in distillation.scores:
        mean, sem = score.objective.mean, score.objective.sem
        text = f"{mean:.4g} ± {sem:.2g}" if math.isfinite(sem) else "not finite"
        table.add_row(score.name, text)
    _print(table, console)
    if distillation.few:
        console.print(distillation.few)


def print_flatness(found: "RunFlatness") -> None:
    """What was measured where training ends."""
    metrics = list(next(iter(found.summaries.values())))
    title = f"{found.title}, {found.num_tasks} networks"
    console = PlainConsole()
    console.print(found.finding)
    table = _table(title, "optimizer", numbers=[metric.replace("_", " ") for metric in metrics])
    for name, summaries in found.summaries.items():
        numbers = [f"{each.mean:.3g} ± {each.sem:.2g}" for each in summaries.values()]
        table.add_row(name, *numbers)
    _print(table, console)


def print_lists() -> None:
    """Recipes, tasks, optimizers and papers; JAX is left alone, so that it is quick."""
    console = PlainConsole()
    recipes = _table("Recipes (l2o train RECIPE)", "name", "description")
    for recipe in RECIPES:
        recipes.add_row(recipe.name, recipe.description)
    made = [
        _members("Tasks (l2o train --task TASK)", TASK_FAMILY),
        _members(
            "Learned optimizers (l2o train RECIPE --optimizer NAME, or WEIGHTING-NAME)",
            LEARNED_OPTIMIZER,
        ),
        _members("Regularizers (l2o train RECIPE --REGULARIZER WEIGHT)", REGULARIZER),
        _members("Estimators of meta-gradients (l2o train RECIPE --estimator NAME)", ESTIMATOR),
    ]
    title = "Hand-designed optimizers (l2o tune OPTIMIZER)"
    hand_designed = _table(title, "name", "description")
    for name, description in HAND_DESIGNED.items():
        hand_designed.add_row(name, description)
    for schedule, description in SCHEDULES.items():
        hand_designed.add_row(f"OPTIMIZER-{schedule}", description)
    weightings = _members("Weightings of several losses (l2o tune WEIGHTING-OPTIMIZER)", WEIGHTING)
    papers = _table("Papers (l2o reproduce NAME)", "name", "description", "profiles")
    for paper in REPRODUCTIONS:
        sizes = "\n".join(f"{name}: {size}" for name, size in paper.profiles.items())
        papers.add_row(paper.name, paper.description, sizes)
    for table in (recipes, *made, hand_designed, weightings, papers):
        _print(table, console)


def _members(title: str, kind: Kind) -> Table:
    """All of a kind by name."""
    table = _table(title, "name", "description")
    for name, member in members(kind).items():
        table.add_row(name, member.description)
    return table


def print_search_spaces() -> None:
    """What tuning searches for each hand-designed optimizer, and the settings of weightings."""
    console = PlainConsole()
    table = _table("Searched by l2o tune", "name", "hyperparameter", numbers=("range",))
    for name in HAND_DESIGNED:
        for hyperparameter, searched in runs.find_hand_designed(name).space.items():
            table.add_row(name, hyperparameter, _range(searched))
    for schedule in SCHEDULES:
        searched = _range(runs.find_hand_designed(f"adam-{schedule}").space["warm_up"])
        table.add_row(f"OPTIMIZER-{schedule}", "warm_up", searched)
    _print(table, console)
    console.print(
        "OPTIMIZER-SCHEDULE has the ranges of OPTIMIZER, too, and so has WEIGHTING-OPTIMIZER, for "
        "several losses."
    )
    table = _table("Settings of weightings, as in cagrad(c=0.2)-adam", "weighting", "setting")
    table.add_column("default")
    for name, member in members(WEIGHTING).items():
        for setting in settings_of(member.load(), WEIGHTING.given).values():
            table.add_row(name, setting.name, str(setting.default))
    _print(table, console)


def print_recipe(recipe: Recipe) -> None:
    """A recipe's settings, and how to change them."""
    console = PlainConsole()
    _print_settings(f"{recipe.name}: {recipe.description}", recipe, console)
    console.print(f"To begin: l2o train {recipe.name}")
    console.print(f"To edit it: l2o show {recipe.name} --json > mine.json; l2o train mine.json")


def _print_settings(title: str, recipe: Recipe, console: Console) -> None:
    """All settings of a recipe but those in the title, in lines of their own."""
    table = _table(title, "setting", "value")
    table.columns[0].no_wrap = True
    for name, value in recipe.flat().items():
        if name not in ("name", "description"):
            listed = isinstance(value, list | tuple)
            shown = ", ".join(map(str, value)) or "none" if listed else str(value)
            table.add_row(name.replace(".keywords.", "."), shown)
    _print(table, console)


def print_run(folder: RunFolder) -> None:
    """A run's settings, how far it is, and its results if it was evaluated."""
    recipe = folder.read_recipe()
    history, evaluation = folder.read_history(), folder.read_evaluation()
    console = PlainConsole()
    _print_settings(f"{folder.path}: {recipe.description}", recipe, console)
    done = history[-1]["meta_step"] if history else 0
    scores = [row["validation_score"] for row in history if row.get("validation_score") is not None]
    curriculum = recipe.training.curriculum
    # Stages of a curriculum are validated on other horizons.
    best = f", best validation score {min(scores):.4g}" if scores and curriculum is None else ""
    state = "finished" if folder.optimizer.exists() else "not finished"
    total = (
        f"of {recipe.training.meta_steps} meta-steps"
        if curriculum is None
        else f"meta-steps on horizons from {curriculum[0]}"
    )
    console.print(f"Meta-training: {done} {total}, {state}{best}.")
    if evaluation is None:
        command = shlex.join(["l2o", "eval", str(folder.path), *recipe.naming_own_code()])
        console.print(f"Not evaluated yet: {command}")
        return
    _print(_results(evaluation), console)
    console.print(f"Report: {folder.report}")


def _results(evaluation: dict[str, Any]) -> Table:
    """The results of an evaluation, or of an `evaluation.json`, the learned optimizer's in bold."""
    learned = evaluation["results"][0]
    metrics = metrics_of(learned)
    title = f"{evaluation['setting']}, {evaluation['num_tasks']} tasks"
    table = _table(title, "optimizer", numbers=(*map(metric_label, metrics), "diverged"))
    for row in results_table(evaluation):
        table.add_row(*row.values(), style="bold" if row["name"] == learned["name"] else None)
    return table


def _table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table.

    **Arguments:** `title`; `columns`, of text, which may be broken into lines; `numbers`, columns
    to their right that may not.
    """
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _print(table: Table, console: Console) -> None:
    """Prints a table, or a list where the screen is too narrow for its numbers."""
    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(map(cell_len, (str(column.header), *map(str, column.cells))))
    unlimited = console.options.update(max_width=_UNLIMITED)
    if Measurement.get(console, unlimited, table).minimum <= console.width:
        console.print(table)
        return
    console.print(table.title, style="italic")
    names = [str(column.header) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        if len(cells) == 2:
            console.print(f"{cells[0]}: {cells[1]}")
            continue
        console.print(f"{names[0]}: {cells[0]}")
        for name, cell in zip(names[1:], cells[1:], strict=True):
            console.print(f"  {name}: {cell}")


def _range(searched: "SearchRange") -> str:
    """A search range in words."""
    return f"{searched.low:g} to {searched.high:g}, {type(searched).__name__}"
