"""What the results say, in plain sentences that follow from the numbers."""

from collections.abc import Sequence
from typing import Any

Column = dict[str, Any]


def performance_sentences(column: Column) -> list[str]:
    """Whether each learned optimizer beats each baseline on the objective."""
    paired = column["performance"]["paired"]
    seeds = column["settings"]["meta_seeds"]
    num_tasks = column["performance"]["num_tasks"]
    all_better = [
        seed for seed in seeds if all(each["better"] for each in paired if each["seed"] == seed)
    ]
    sentences = [
        f"{len(all_better)} of {len(seeds)} learned optimizers beat all tuned baselines on the "
        f"objective ({column['objective']}): the 95 % interval of the paired difference over "
        f"{num_tasks} problems lies below zero."
    ]
    diverging = {
        each["baseline"]: num_tasks - each["num_finite"]
        for each in paired
        if each["num_finite"] < num_tasks
    }
    sentences += [
        f"Against {baseline}, differences leave out {count} problems on which a run diverges."
        for baseline, count in diverging.items()
    ]
    sentences += [
        f"Seed {each['seed']} does not beat {each['baseline']}: difference {_interval(each)}."
        for each in paired
        if not each["better"]
    ]
    ratio = _ratio_to_momentum(column)
    if ratio is not None and "normalized" in column["objective"]:
        sentences.append(
            f"The mean objective of the learned optimizers is {ratio} times that of tuned momentum "
            "on the same problems."
        )
    return sentences


def momentum_sentence(column: Column) -> str:
    """The momentum nearest to each optimizer."""
    fitted = [found["momentum"]["fitted"] for found in column["mechanisms"]]
    betas = _range([each["beta"] for each in fitted])
    shares = _range([100 * each["share_explained"] for each in fitted], "%")
    sentence = (
        f"Near the fixed point, the response to a gradient is that of one momentum with beta "
        f"{betas}, which explains {shares} of it ({_count(column, 'momentum')})."
    )
    known = [
        f"tuned momentum has {each['hyperparameters']['momentum']:.3g}"
        for each in column["baselines"]
        if each["name"] == "momentum"
    ]
    if column["best_momentum"] is not None:
        beta = column["best_momentum"]["beta"]
        known.append(f"the best over very many steps, by Polyak's closed form, has {beta:.3g}")
    return f"{sentence} For comparison, {'; '.join(known)}." if known else sentence


def clipping_sentence(column: Column) -> str:
    """Whether updates saturate, and whether it matters."""
    shares = [
        100 * found["clipping"]["share_of_gradients_beyond_half_height"]
        for found in column["mechanisms"]
    ]
    return (
        f"Updates saturate in {_count(column, 'saturation')}; {_range(shares, '%')} of the "
        "gradients met lie beyond the one at which updates are half their largest."
    )


def schedule_sentence(column: Column) -> str:
    """How the learning rate changes by itself."""
    rises = _range([found["schedule"]["rise"] for found in column["mechanisms"]])
    falls = _range([found["schedule"]["fall"] for found in column["mechanisms"]])
    return (
        f"A schedule is found in {_count(column, 'schedule')}, a warm-up in "
        f"{_count(column, 'warm-up')}: the learning rate rises by a factor of {rises} and ends at "
        f"{falls} of its peak."
    )


def adaptation_sentence(column: Column) -> str:
    """How constant gradients change the learning rate."""
    ratios = _range(
        [found["adaptation"]["largest_over_smallest"] for found in column["mechanisms"]]
    )
    slower = _count(column, "smaller steps for large gradients")
    return (
        f"Constant gradients change the learning rate in {_count(column, 'adaptation')}, by a "
        f"factor of {ratios}; it is smaller for large gradients in {slower}."
    )


def distillation_sentence(column: Column) -> str:
    """How well a closed-form optimizer stands for a learned one."""
    distilled = column["distillation"]
    share = distilled["variance_explained"]
    explained = "an unknown share" if share is None else f"{100 * share:.1f} %"
    return (
        f"A closed-form optimizer fitted to the updates of seed {distilled['seed']} explains "
        f"{explained} of the variance of updates on held-out problems."
    )


def _count(column: Column, mechanism: str) -> str:
    entry = next(each for each in column["presence"] if each["name"] == mechanism)
    return f"{len(entry['seeds'])} of {entry['of']} optimizers"


def _ratio_to_momentum(column: Column) -> str | None:
    optimizers = column["performance"]["optimizers"]
    means = {each["name"]: each["objective"]["mean"] for each in optimizers}
    momentum = means.get("momentum")
    learned = [means[each["name"]] for each in optimizers if each["seed"] is not None]
    if not momentum or None in learned:
        return None
    return _range([mean / momentum for mean in learned])


def _interval(paired: dict[str, Any]) -> str:
    low, high = paired["interval"]
    if paired["mean"] is None or low is None or high is None:
        return "not finite, since runs diverged"
    return f"{paired['mean']:.3g}, 95 % interval {low:.3g} to {high:.3g}"


def _range(values: Sequence[float | None], unit: str = "") -> str:
    """The smallest and the largest value, in words."""
    finite = [value for value in values if value is not None]
    if not finite:
        return "no finite number"
    space = f" {unit}" if unit else ""
    low, high = f"{min(finite):.3g}", f"{max(finite):.3g}"
    return f"{low}{space}" if low == high else f"{low} to {high}{space}"
