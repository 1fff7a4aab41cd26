"""The page about the results as Markdown, as it stands in the documentation."""

from collections.abc import Iterator

from l2o.report.markdown import as_table, filled, listed
from l2o.report.plain import number
from l2o.studies.multi_objective.comparison import LEVEL
from l2o.studies.multi_objective.problem_runs import FALLBACK
from l2o.studies.multi_objective.rows import Results
from l2o.studies.multi_objective.tables import table, verdicts
from l2o.studies.work import Timed

_FIGURES = {"Losses": "losses", "Criticality": "criticality", "Performance profiles": "profiles"}


def markdown(results: Results) -> str:
    """All numbers and sentences of the page, with links to the figures.

    **Arguments:** `results`, what `results.json` holds.
    """
    networks, problems = results["settings"]["networks"], results["settings"]["problems"]
    blocks = [
        "# Learned optimizers for several objectives",
        filled(
            f"What `{results['command']}` gives, in {_minutes(results)} minutes of computing. All "
            "numbers, a row for each network, are in [results.json](results.json), from which this "
            "page is written; the command also writes a page with more of them, `report.html`. The "
            "question is that of Yang, Yang and Tang (arXiv 2311.00559), of whose paper only the "
            "abstract was at hand; tasks, networks, optimizer and guard are ours."
        ),
        *map(filled, results["remarks"]),
        "## In short",
        listed([*_verdicts(results), *_of_meta_seeds(results)]),
        "## Networks with several tasks",
        filled(
            "*Training objective*: the mean over "
            f"{networks['num_steps']} steps and all targets of the loss over its first value, on "
            "minibatches; ML2O is meta-trained on it, and Adam behind every aggregator tuned, on "
            f"other networks, with {networks['num_configurations']} configurations and "
            f"{networks['refined_configurations']} for the best {networks['num_refined']}. Means "
            f"over {networks['num_seeds']} networks, meta-seeds averaged; differences from the "
            "aggregator that was best when tuned are paired, with 95 % intervals over networks. "
            "Test losses and accuracies are those of the whole test split after the last step. "
            "Times of steps were taken while other processes worked."
        ),
        *(block for family in results["alone"] for block in _family(results, family)),
        "![Losses](figures/losses.png)",
        "## Test problems",
        filled(
            f"{problems['num_starts']} starts for each of {len(problems['problems'])} problems, "
            f"{problems['num_steps']} iterations. Every method's updates are multiplied by a "
            "factor that is tuned for each problem from other starts, learned optimizers' too. "
            "ML2O was meta-trained on pairs of random quadratics, with one meta-seed."
        ),
        _problems(results),
        *_edges(results),
        *(
            f"![{title}](figures/{name}.png)"
            for title, name in _FIGURES.items()
            if name != "losses"
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def _minutes(results: Results) -> str:
    """All parts one after the other."""
    parts: list[Timed] = [*results["problems"], *results["meta_training"], *results["methods"]]
    parts += [method["tuning"] for method in results["methods"] if "tuning" in method]
    seconds = sum(part.get("seconds", 0.0) for part in parts)
    seconds += sum(number(reached["seconds"]) for reached in results["alone"].values())
    return f"{seconds / 60:.0f}"


def _verdicts(results: Results) -> Iterator[str]:
    """Those on networks like the ones meta-trained on; the tables have the others."""
    for sentence in verdicts(results):
        family = sentence.partition(":")[0]
        if family not in results["alone"] or f"meta-trained on {family}," in sentence:
            yield sentence


def _of_meta_seeds(results: Results) -> Iterator[str]:
    """What the meta-seeds of the main method reach each, on networks like those trained on."""
    for family in results["alone"]:
        by_seed: dict[int | None, list[float]] = {}
        for row in results["rows"]:
            if (row["method"], row["family"], row["from"]) == ("ML2O", family, family):
                by_seed.setdefault(row["meta_seed"], []).append(number(row["objective"]))
        means = ", ".join(f"{sum(values) / len(values):.3f}" for values in by_seed.values())
        yield f"{family}: the meta-seeds of ML2O reach {means}."


def _family(results: Results, family: str) -> Iterator[str]:
    """All methods on a family of networks."""
    found = table(results, family)
    rows = [
        (
            f"**{row['method']}**" if row["is_learned"] or row["is_best"] else row["method"],
            row["objective"],
            row["in_tuning"],
            row["difference"],
            *row["metrics"],
            row["milliseconds"],
        )
        for row in found["rows"]
    ]
    metrics = (name.removeprefix("test_").replace("_", " ") for name in found["metrics"])
    heads = (family, "objective", "in tuning", "against the best hand-designed")
    yield as_table((*heads, *metrics, "ms a step"), rows)
    alone = (
        f"{name.removeprefix('test_').replace('_', ' ')} "
        + (f"{value:.1%}" if name.endswith("accuracy") else f"{value:.3g}")
        for name, value in found["alone"].items()
        if name.startswith("test_")
    )
    yield filled(f"Networks for one target alone reach {', '.join(alone)}.")


def _problems(results: Results) -> str:
    rows = [
        (
            f"**{entry['method']}**" if "ML2O" in entry["method"] else entry["method"],
            f"{entry['reached']:.1%}",
            f"{entry['runs_with_rises']:.1%}",
            f"{entry['median_criticality']:.1g}",
            f"{entry['hypervolume_share']:.3f}",
        )
        for entry in sorted(results["problem_comparison"], key=lambda entry: -entry["reached"])
    ]
    heads = (
        "method",
        f"runs that reach relative criticality {LEVEL}",
        "runs in which a loss rises",
        "relative criticality at the end, median",
        "share of the front's hypervolume, median over problems",
    )
    return as_table(heads, rows)


def _edges(results: Results) -> Iterator[str]:
    """On which problems the best factor lies on the edge of what was tried."""
    on_edge: dict[str, list[str]] = {}
    for entry in results["problems"]:
        # The fallback ignores its factor, so that its edge means nothing.
        if entry["on_edge"] and entry["method"] != FALLBACK:
            on_edge.setdefault(entry["method"], []).append(entry["problem"])
    if on_edge:
        told = "; ".join(f"{method} on {', '.join(names)}" for method, names in on_edge.items())
        yield filled(
            f"The best factor lies on the edge of what was tried for {told}: these might do a "
            "little better with a wider range."
        )
