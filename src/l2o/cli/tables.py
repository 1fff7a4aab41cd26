"""What commands print when they are done."""

import json
import math
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from l2o.recipes import RECIPES, REPRODUCTIONS, AnyOptimizer, AnyTask, Recipe, RunFolder

if TYPE_CHECKING:
    from l2o.evaluation import Tuned
    from l2o.optimizers import SearchRange
    from l2o.recipes import RunFlatness
    from l2o.report import Comparison, Distillation, Subject


def print_comparison(comparison: "Comparison") -> None:
    """The results of all optimizers in a table, and who wins."""
    from l2o.report import judge, metric_label, results_table, table_columns

    metrics = table_columns(comparison)
    table = Table(title=f"{comparison.main.title}, {comparison.main.evaluation.num_tasks} tasks")
    table.add_column("optimizer")
    for metric in metrics:
        table.add_column(metric_label(metric), justify="right")
    table.add_column("diverged", justify="right")
    for row in results_table(comparison):
        style = "bold" if row["name"] == comparison.learned else None
        table.add_row(
            row["name"], *(row[metric] for metric in metrics), str(row["diverged"]), style=style
        )
    console = Console(highlight=False)
    console.print(table)
    for setting in (comparison.main, *comparison.others):
        verdict = judge(setting, comparison.learned, "objective")
        console.print(f"{setting.title}: {verdict.sentence}", markup=False)
    if comparison.reused:
        console.print(
            f"Reused from an earlier comparison under the same conditions: the hyperparameters of "
            f"{', '.join(comparison.reused)}.",
            markup=False,
        )
    for tuned in comparison.tuned:
        if tuned.edges:
            console.print(
                f"Warning: the best {', '.join(tuned.edges)} of {tuned.name} lies on the edge of "
                "its range, which may be too narrow.",
                markup=False,
            )


def print_tuned(tuned: "Tuned", recipe: Recipe) -> None:
    """The best hyperparameters of a baseline."""
    table = Table(title=f"{tuned.name} on {recipe.task.title}, {tuned.num_steps} steps")
    table.add_column("hyperparameter")
    table.add_column("best", justify="right")
    table.add_column("searched")
    for name, value in tuned.hyperparameters.items():
        edge = " (best is on the edge)" if name in tuned.edges else ""
        searched = _range(tuned.hand_designed.space[name])
        table.add_row(name, f"{value:.4g}", searched + edge)
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{recipe.training.objective}: {tuned.score:.4g}, best of {len(tuned.scores)} "
        f"configurations, {tuned.num_diverged} of which diverged.",
        markup=False,
    )


def print_findings(subjects: "dict[str, Subject]") -> None:
    """What was found about each optimizer, a line for each mechanism."""
    console = Console(highlight=False)
    for name, subject in subjects.items():
        table = _table(name, "mechanism", "what was found")
        for mechanism, sentence in subject.explanation.findings.items():
            table.add_row(mechanism, Text(sentence))
        console.print(table)
        for condition in subject.explanation.conditions:
            console.print(condition, markup=False)
        if subject.distillation is not None:
            print_closed_form(subject.distillation)


def print_closed_form(distillation: "Distillation") -> None:
    """A closed form, and how good it is."""
    console = Console(highlight=False)
    distilled = distillation.distilled
    console.print("As a formula:", distilled.formula, sep="\n", markup=False)
    console.print(
        f"It explains {100 * distilled.variance_explained:.1f} % of the variance of updates on "
        "held-out problems."
    )
    table = _table(f"{distillation.objective}, {distillation.num_tasks} tasks", "optimizer", "mean")
    for score in distillation.scores:
        mean, sem = score.objective.mean, score.objective.sem
        text = f"{mean:.4g} ± {sem:.2g}" if math.isfinite(sem) else "not finite"
        table.add_row(score.name, text)
    console.print(table)


def print_flatness(found: "RunFlatness") -> None:
    """What was measured where training ends."""
    metrics = list(next(iter(found.summaries.values())))
    title = f"{found.title}, {found.num_tasks} networks"
    table = _table(title, "optimizer", *(metric.replace("_", " ") for metric in metrics))
    for name, summaries in found.summaries.items():
        numbers = [f"{each.mean:.3g} ± {each.sem:.2g}" for each in summaries.values()]
        table.add_row(name, *numbers)
    Console(highlight=False).print(table)


def print_lists() -> None:
    """Recipes, tasks, optimizers and papers."""
    from l2o.multiobjective import ALL_AGGREGATED
    from l2o.optimizers import ALL_HAND_DESIGNED

    console = Console(highlight=False)
    recipes = _table("Recipes (l2o train RECIPE)", "name", "description")
    for recipe in RECIPES:
        recipes.add_row(recipe.name, recipe.description)
    tasks = _table('Tasks ("kind" of "task" in a recipe file)', "kind", "description")
    for task in get_args(AnyTask):
        tasks.add_row(task.__name__, _first_line(task))
    learned = _table('Learned optimizers ("kind" of "optimizer")', "kind", "description")
    for optimizer in get_args(AnyOptimizer):
        learned.add_row(optimizer.__name__, _first_line(optimizer))
    hand_designed = _table("Hand-designed optimizers (l2o tune OPTIMIZER)", "name", "searched")
    for each in (*ALL_HAND_DESIGNED, *ALL_AGGREGATED):
        space = "\n".join(f"{name}: {_range(values)}" for name, values in each.space.items())
        hand_designed.add_row(each.name, space)
    papers = _table("Papers (l2o reproduce NAME)", "name", "description", "profiles")
    for paper in REPRODUCTIONS:
        sizes = "\n".join(f"{name}: {each.description}" for name, each in paper.profiles.items())
        papers.add_row(paper.name, paper.description, sizes)
    for table in (recipes, tasks, learned, hand_designed, papers):
        console.print(table)


def print_run(folder: RunFolder) -> None:
    """A run's settings, how far it is, and its results if it was evaluated."""
    from l2o.metatraining import read_metrics

    recipe = folder.read_recipe()
    console = Console(highlight=False)
    settings = _table(f"{folder.path}: {recipe.description}", "setting", "value")
    for name, value in recipe.flat().items():
        settings.add_row(name, str(value))
    console.print(settings)
    history = read_metrics(folder.path)
    done = history[-1]["meta_step"] if history else 0
    scores = [row["validation_score"] for row in history if row.get("validation_score") is not None]
    best = f", best validation score {min(scores):.4g}" if scores else ""
    state = "finished" if folder.optimizer.exists() else "not finished"
    console.print(
        f"Meta-training: {done} of {recipe.training.meta_steps} meta-steps, {state}{best}.",
        markup=False,
    )
    if not folder.evaluation.exists():
        console.print(f"Not evaluated yet: l2o eval {folder.path}", markup=False)
        return
    try:
        evaluation = json.loads(folder.evaluation.read_bytes())
        console.print(_results(evaluation))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder.evaluation} is damaged: {error}.") from error
    console.print(f"Report: {folder.report}", markup=False)


def _results(evaluation: dict[str, Any]) -> Table:
    """The results in an `evaluation.json`."""
    results = evaluation["results"]
    metrics = [name for name, value in results[0].items() if isinstance(value, dict)]
    metrics.remove("hyperparameters")
    table = _table(
        f"{evaluation['setting']}, {evaluation['num_tasks']} tasks",
        "optimizer",
        *(metric.replace("_", " ") for metric in metrics),
        "diverged",
    )
    for result in results:
        numbers = [f"{_number(result[m]['mean'])} ± {_number(result[m]['sem'])}" for m in metrics]
        table.add_row(result["name"], *numbers, str(result["diverged"]))
    return table


def _number(value: float | None) -> str:
    """A number in a table; `None` stands for one that is not finite."""
    return "not finite" if value is None else f"{value:.4g}"


def _table(title: str, *columns: str) -> Table:
    """An empty table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _range(searched: "SearchRange") -> str:
    """A search range in words."""
    return f"{searched.low:g} to {searched.high:g}, {type(searched).__name__}"


def _first_line(documented: type) -> str:
    """The first line of a class's docstring."""
    return (documented.__doc__ or "").splitlines()[0]
