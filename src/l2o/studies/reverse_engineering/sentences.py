"""What the results say, in plain sentences that follow from the numbers."""

import math
from collections.abc import Sequence

from l2o.evaluation.statistics import SKEWED
from l2o.report.plain import number
from l2o.studies.reverse_engineering.rows import Column, Distilled, Paired


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
        f"objective ({column['objective']}): over {num_tasks} problems the 95 % interval of the "
        "paired difference and that of a bootstrap lie below zero, and no sign test says the "
        "opposite."
    ]
    diverging = {
        each["baseline"]: num_tasks - each["num_finite"]
        for each in paired
        if each["num_finite"] < num_tasks
    }
    sentences += [
        f"Against {baseline}, differences are over {num_tasks - count} of {num_tasks} problems: on "
        "the others a run diverges."
        for baseline, count in diverging.items()
    ]
    skews = [each["skewness"] for each in paired if each["skewness"] is not None]
    if any(abs(skew) > SKEWED for skew in skews):
        sentences.append(
            f"Differences are skewed, by {min(skews):.2g} to {max(skews):.2g}, so that the first "
            "kind of interval alone is to be doubted."
        )
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


def tuning_sentences(column: Column) -> list[str]:
    """What baselines lose from tuning to the comparison, and best values on the edges."""
    optimizers = {each["name"]: each for each in column["performance"]["optimizers"]}
    learned = [
        number(each["objective"]["mean"])
        for each in column["performance"]["optimizers"]
        if each["seed"]
    ]
    sentences = []
    for each in column["baselines"]:
        fresh = optimizers[each["name"]]["objective"]
        name = each["name"]
        score, mean = number(each["score"]), number(fresh["mean"])
        if not all(map(math.isfinite, (score, mean, *learned))):
            sentences.append(
                f"Tuned {name} diverges on {each['diverged_runs']} of {each['num_runs']} problems "
                f"in tuning and on {optimizers[name]['diverged']} of "
                f"{column['performance']['num_tasks']} in the comparison."
            )
        else:
            loss = mean - score
            error = math.hypot(number(fresh["sem"]), number(each["sem"]))
            margin = mean - max(learned)
            sentences.append(
                f"From tuning to the comparison tuned {name} loses {loss:.2g} ± {error:.2g}; the "
                f"margin of the worst learned optimizer over it is {margin:.2g}."
            )
        if each["edges"]:
            sentences.append(
                f"Best values of {name} on the edge of a range: {', '.join(each['edges'])}."
            )
    return sentences


def warm_up_sentence(column: Column) -> str:
    """How large warm-ups are, the paper's beside them, and what they are worth."""
    sentence = (
        f"A warm-up, a rise of the learning rate by more than 5 % of its largest value, is found "
        f"in {_count(column, 'warm-up')}"
    )
    entry = next(each for each in column["presence"] if each["name"] == "warm-up")
    if not entry["seeds"]:
        return f"{sentence}."
    rising = [
        found["schedule"] for found in column["mechanisms"] if found["seed"] in entry["seeds"]
    ]
    sentence += (
        f": by a factor of {_range([each['rise'] for each in rising])}, highest at step "
        f"{_range([each['peak_step'] for each in rising])}."
    )
    if column["published"] is not None and column["published"]["schedule"]:
        points = column["published"]["schedule"]
        step, rate = max(points, key=lambda point: point[1])
        sentence += f" In the paper the factor is {rate / points[0][1]:.2g}, at step {step}."
    return f"{sentence} {_worth_of_warm_up(column['distillation'])}"


def _worth_of_warm_up(distilled: Distilled) -> str:
    """What the closed form says of it."""
    scores = {each["name"]: each["objective"]["mean"] for each in distilled["scores"]}
    if "closed form without warm-up" not in scores:
        return "The closed form that was taken has none."
    whole, without = scores["closed form"], scores["closed form without warm-up"]
    if whole is None or without is None:
        return "The closed form, with it or without, diverges on some problems."
    change = "improves" if without < whole else "worsens"
    return f"Without it the closed form's score {change} from {whole:.3g} to {without:.3g}."


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
        f"A schedule is found in {_count(column, 'schedule')}: the learning rate rises by a factor "
        f"of {rises} and ends at {falls} of its peak. {warm_up_sentence(column)}"
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
        f"{explained} of the variance of updates on held-out problems. {_scores(distilled)}"
    )


def _scores(distilled: Distilled) -> str:
    """How good it is beside tuned hand-designed optimizers."""
    scores = {each["name"]: each for each in distilled["scores"]}
    sentences = []
    for name, verdicts in distilled["verdicts"].items():
        groups = {
            "better than": [other for other, verdict in verdicts.items() if verdict == "better"],
            "worse than": [other for other, verdict in verdicts.items() if verdict == "worse"],
            "not told from": [
                other for other, verdict in verdicts.items() if verdict == "undecided"
            ],
        }
        told = ", ".join(f"{what} {' and '.join(some)}" for what, some in groups.items() if some)
        mean, diverged = scores[name]["objective"]["mean"], scores[name]["diverged"]
        score = f"{mean:.3g}" if mean is not None else f"not finite ({diverged} runs diverged)"
        sentences.append(f"The {name} has {score} and is {told}.")
    return " ".join(sentences)


def _count(column: Column, mechanism: str) -> str:
    entry = next(each for each in column["presence"] if each["name"] == mechanism)
    return f"{len(entry['seeds'])} of {entry['of']} optimizers"


def _ratio_to_momentum(column: Column) -> str | None:
    optimizers = column["performance"]["optimizers"]
    means = {each["name"]: each["objective"]["mean"] for each in optimizers}
    momentum = means.get("momentum")
    learned = [number(each["objective"]["mean"]) for each in optimizers if each["seed"] is not None]
    if not momentum or not all(map(math.isfinite, learned)):
        return None
    return _range([mean / momentum for mean in learned])


def _interval(paired: Paired) -> str:
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
