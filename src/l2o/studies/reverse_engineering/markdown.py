"""The page about the results as Markdown, as it stands in the documentation."""

from collections.abc import Callable, Iterator, Sequence

from l2o.report.markdown import as_table, filled
from l2o.studies.parts import TunedBaseline
from l2o.studies.reverse_engineering import sentences
from l2o.studies.reverse_engineering.rows import Column, Objective, Results

_FIGURES = {
    "Performance": "figure-1-performance",
    "Momentum": "figure-2-momentum",
    "Clipping": "figure-3-clipping",
    "Schedule": "figure-4-schedule",
    "Adaptation": "figure-5-adaptation",
}
_MECHANISMS: tuple[tuple[str, Callable[[Column], str]], ...] = (
    ("Momentum", sentences.momentum_sentence),
    ("Clipping", sentences.clipping_sentence),
    ("Schedule", sentences.schedule_sentence),
    ("Adaptation", sentences.adaptation_sentence),
)


def markdown(results: Results) -> str:
    """All numbers and sentences of the page, with links to the figures.

    **Arguments:** `results`, what `results.json` holds.
    """
    columns = results["studies"]
    blocks = [
        "# Reverse engineering learned optimizers, repeated",
        filled(
            f"What `{results['command']}` gives, in {_minutes(results)} minutes of computing. All "
            "numbers are in [results.json](results.json), from which this page is written; the "
            "command also writes a page with more of them, `report.html`. The paper is "
            "Maheswaranathan et al., *Reverse engineering learned optimizers reveals known and "
            "novel mechanisms* (NeurIPS 2021); its numbers, drawn as diamonds, were digitised from "
            "the figures of its first version and are about optimizers with 256 units, one a task."
        ),
        *map(filled, results["remarks"]),
        "## Do they win?",
        *_of_each(columns, lambda column: " ".join(sentences.performance_sentences(column))),
        *(block for column in columns for block in _performance(column)),
        "## Which mechanisms are found?",
        _presence(columns),
        filled(
            "Counts over meta-trainings that differ in their seed alone; the thresholds are ours: "
            + "; ".join(f"{each['name']}, {each['criterion']}" for each in columns[0]["presence"])
            + "."
        ),
        *(
            block
            for title, sentence in _MECHANISMS
            for block in (f"### {title}", *_of_each(columns, sentence))
        ),
        "## As formulas",
        *(block for column in columns for block in _closed_form(column)),
        "\n".join(f"![{title}](figures/{name}.png)" for title, name in _FIGURES.items()),
        filled(
            "Lines are one meta-training each; captions under the figures say how many runs they "
            "show and what bands are."
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def _minutes(results: Results) -> str:
    """All parts one after the other."""
    parts = [part for column in results["cost"].values() for part in column.values()]
    seconds = sum(part.get("seconds", 0.0) for part in parts)
    return f"{seconds / 60:.0f}"


def _of_each(columns: Sequence[Column], sentence: Callable[[Column], str]) -> Iterator[str]:
    for column in columns:
        yield filled(f"**{column['title']}.** {sentence(column)}")


def _performance(column: Column) -> Iterator[str]:
    """All optimizers, and what baselines had in tuning."""
    baselines = {each["name"]: each for each in column["baselines"]}
    rows = []
    for each in column["performance"]["optimizers"]:
        tuned = baselines.get(each["name"])
        in_tuning = f"{_score(tuned)}, {tuned['num_runs']} problems" if tuned else ""
        values = tuned["hyperparameters"].items() if tuned else ()
        rows.append(
            (
                each["name"],
                _score(each["objective"]),
                _number(each["objective"]["median"]),
                in_tuning,
                f"{each['diverged']} of {column['performance']['num_tasks']}",
                ", ".join(f"{name} {_number(value)}" for name, value in values),
            )
        )
    heads = (column["title"], column["objective"], "median", "in tuning", "diverged", "tuned to")
    yield as_table(heads, rows)
    yield filled(" ".join(sentences.tuning_sentences(column)))


def _presence(columns: Sequence[Column]) -> str:
    rows = [
        (
            entry["name"],
            *(
                f"{len(column['presence'][row]['seeds'])} of {column['presence'][row]['of']}"
                for column in columns
            ),
        )
        for row, entry in enumerate(columns[0]["presence"])
    ]
    return as_table(("mechanism", *(column["title"] for column in columns)), rows)


def _closed_form(column: Column) -> Iterator[str]:
    """The formula, and the scores of all that was run beside it."""
    distilled = column["distillation"]
    yield f"### {column['title']}"
    yield "```\n" + "\n".join(distilled["formula"]) + "\n```"
    yield filled(sentences.distillation_sentence(column))
    rows = [
        (each["name"], _score(each["objective"]), _number(each["objective"]["median"]))
        for each in distilled["scores"]
    ]
    yield as_table(("optimizer", column["objective"], "median"), rows)


def _score(summary: Objective | TunedBaseline) -> str:
    """Mean and standard error, as scores and summaries have them."""
    mean = summary["mean"] if "mean" in summary else summary["score"]
    return "not finite" if mean is None else f"{_number(mean)} ± {summary['sem']:.2g}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"
