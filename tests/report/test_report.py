import json
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up import HISTORY, NUM_STEPS, NUM_TASKS, comparison, runs

from l2o.evaluation import Evaluation, Runs, results_table
from l2o.report import Comparison, Setting, judge, write_report
from l2o.report.drawing import as_png
from l2o.report.figures import held_out, loss_curves, meta_training, paired_differences


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "report.html"
    write_report(
        comparison(),
        path,
        title="GRU(4) against <tuned> baselines",
        description="A test.",
        config='{"name": "test"}',
        history=HISTORY,
        windows=5,
    )
    return path


def test_the_page_stands_by_itself(page):
    # Plotly's own code has addresses in it that nothing on the page uses.
    text = re.sub(r"<script>.*?</script>", "", page.read_text(), flags=re.DOTALL)
    assert set(re.findall(r'src="([^,"]*)', text)) == {"data:image/png;base64"}
    assert "url(" not in text
    # Links lead to the figures beside it.
    links = re.findall(r'href="([^"]*)"', text)
    assert sorted(links) == sorted(f"figures/{f.name}" for f in page.with_name("figures").iterdir())
    assert page.read_text().count("plotly.js v") == 1


def test_the_page_says_who_wins_and_where_not(page):
    text = " ".join(page.read_text().split())
    assert "GRU(4) beats every tuned baseline on the objective it was meta-trained for" in text
    assert "other tasks, 20 steps:</b> In the objective, GRU(4) is worse than sgd and adam." in text
    assert "On the edge of its range, which may be too narrow: learning_rate." in text
    assert "&lt;tuned&gt;" in text
    assert "4, 1 diverged" in text
    assert "Seed 5" in text
    assert "jax" in text


def test_figures_are_also_files(page):
    names = {file.name for file in (page.parent / "figures").iterdir()}
    assert names == {
        "losses.png",
        "paired.png",
        "accuracy.png",
        "others.png",
        "meta_training.png",
    }


def test_the_same_run_gives_the_same_page(page, tmp_path):
    write_report(
        comparison(),
        tmp_path / "report.html",
        title="GRU(4) against <tuned> baselines",
        description="A test.",
        config='{"name": "test"}',
        history=HISTORY,
        windows=5,
    )
    assert (tmp_path / "report.html").read_text() == page.read_text()


def test_a_page_without_history_and_other_settings(tmp_path):
    result = comparison(learned_level=0.25)
    result = Comparison(
        result.learned, result.objective, result.tuned, result.main, others=(), seed=0
    )
    path = tmp_path / "report.html"
    write_report(result, path, title="t", description="d", config="{}", history=[], windows=1)
    text = " ".join(path.read_text().split())
    assert "does not beat every tuned baseline" in text
    assert "is better than sgd and is worse than adam" in text
    assert "<h2>Meta-training" not in text


def test_verdicts_follow_the_intervals():
    result = comparison()
    verdict = judge(result.main, "GRU(4)", "objective")
    assert verdict.wins
    assert verdict.beaten == ("sgd", "adam")
    worse = judge(result.others[0], "GRU(4)", "objective")
    assert worse.beaten_by == ("sgd", "adam")
    accuracy = judge(comparison(accuracy=0.5).main, "GRU(4)", "test_accuracy")
    assert "adam" in accuracy.beaten
    same = Evaluation({"a": runs(0.1), "b": runs(0.1)}, NUM_TASKS, NUM_STEPS)
    assert judge(Setting("same", same), "a", "objective").undecided == ("b",)


@pytest.mark.parametrize(("num_tasks", "share"), [(1, None), (4, "12 %"), (5, "6 %"), (6, "")])
def test_of_few_tasks_it_is_said_that_they_are(num_tasks, share, tmp_path):
    """A sign test of fewer than six pairs never tells, with 2 * 0.5^5 = 0.0625 at best."""
    result = comparison()
    losses = {name: each.losses[:num_tasks] for name, each in result.main.evaluation.runs.items()}
    few = {name: Runs(each, each.mean(1), {}) for name, each in losses.items()}
    setting = Setting("few", Evaluation(few, num_tasks, NUM_STEPS))
    verdict = judge(setting, "GRU(4)", "objective")
    if num_tasks == 4:
        assert verdict.wins
        path = tmp_path / "report.html"
        result = replace(result, main=setting, others=())
        write_report(result, path, title="", description="", config="", history=[], windows=1)
        finding = path.read_text().partition('class="headline">')[2].partition("</p>")[0]
        assert verdict.few in finding
    expected = "only one of the tasks" if share is None else f"only {num_tasks} tasks"
    assert (expected in verdict.sentence) == (share != "")
    assert f"all of them in {share} of cases" in verdict.few or not share


def test_a_baseline_that_diverges_is_beaten_on_what_it_finishes():
    verdict = judge(comparison(diverged=1).main, "GRU(4)", "objective")
    assert verdict.beaten == ("sgd", "adam")
    assert "over what both finish: from adam over 7 of 8 tasks." in verdict.sentence


def test_the_table_is_sorted_and_keeps_what_diverged():
    rows = results_table(comparison(diverged=2).as_dict())
    assert [row["name"] for row in rows] == ["GRU(4)", "sgd", "adam"]
    assert rows[-1]["diverged"] == "2"
    assert rows[-1]["mean_train_loss"] == "not finite"
    assert "%" in rows[0]["test_accuracy"]


def test_the_table_is_sorted_by_the_objective():
    """The final loss of each is the other way round than the mean loss."""
    falling, rising = np.array([[4.0, 1.0]]), np.array([[1.0, 2.0]])
    results = {
        name: Runs(losses, losses[:, -1], {"test_accuracy": np.array([0.975])})
        for name, losses in (("rising", rising), ("falling", falling))
    }
    setting = Setting("two steps", Evaluation(results, 1, 1))
    for objective, names in (
        ("final loss", ["falling", "rising"]),
        ("mean loss", ["rising", "falling"]),
    ):
        numbers = Comparison("rising", objective, (), setting, (), 0).as_dict()
        rows = results_table(numbers)
        assert [row["name"] for row in rows] == names
        assert [row.get("objective") for row in rows] == (
            ["1", "2"] if objective == "final loss" else [None, None]
        )
        # The error of a single run is not known.
        assert rows[0]["test_accuracy"] == "97.5 %"


def test_json_is_strict():
    numbers = comparison(diverged=1).as_dict()
    json.dumps(numbers, allow_nan=False)
    assert {"results", "paired", "setting", "tuning", "others", "seed"} <= numbers.keys()
    assert numbers["results"][0]["name"] == "GRU(4)"
    assert numbers["results"][2]["mean_train_loss"]["mean"] is None
    assert numbers["tuning"][0]["edges"] == ["learning_rate"]


def texts(figure):
    """All that is written in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_every_figure_says_what_it_shows():
    result = comparison(diverged=1)
    curves = texts(loss_curves([result.main, *result.others], "GRU(4)"))
    assert "step" in curves
    assert "training loss" in curves
    assert f"mean over {NUM_TASKS} runs" in curves
    assert "95 % confidence interval" in curves
    assert f"adam (1 of {NUM_TASKS} diverged)" in curves
    paired = texts(paired_differences(result.main, "GRU(4)", "objective"))
    assert "95 % interval" in paired
    assert "not finite: some runs diverged" in paired
    accuracy = texts(held_out(result.main, "GRU(4)", "test_accuracy"))
    assert f"test accuracy after {NUM_STEPS} steps" in accuracy
    training = texts(meta_training(HISTORY, 5))
    assert "meta-step" in training
    assert "mean of 5 meta-steps" in training


def test_runs_as_small_as_can_be_are_seen_and_names_are_no_formulas():
    name = "mi$n{e$"
    losses = np.array([[2.0, 1.0]])
    setting = Setting(
        # Not even of signs that the font lacks anything is said.
        name,
        Evaluation(
            {n: Runs(losses, losses[:, 0], {}) for n in (name, "$^$\N{CJK RADICAL SUN}")}, 1, 1
        ),
    )
    for figure in (loss_curves([setting], name), paired_differences(setting, name, "objective")):
        as_png(figure)
    assert "diverged" not in texts(figure)
    assert "without an interval" in texts(figure)
    alone = Evaluation({name: setting.evaluation.runs[name]}, 1, 1)
    figure = paired_differences(Setting(name, alone), name, "objective")
    as_png(figure)
    assert "There are no baselines" in texts(figure)
    row = {"meta_step": 1, "meta_loss": 0.5, "validation_score": 0.7}
    figure = meta_training([row], 5)
    as_png(figure)
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o", "o"]
    assert "mean of 1 meta-steps" in texts(figure)
    # Powers of ten are still written as such.
    figure = meta_training([row, row | {"meta_step": 2, "meta_loss": 5e-9}], 1)
    as_png(figure)
    assert all(label.get_parse_math() for label in figure.axes[0].get_yticklabels())
    nothing = meta_training([row | {"meta_loss": np.nan, "validation_score": np.inf}], 5)
    assert "there is nothing to draw" in texts(nothing)


@pytest.mark.parametrize("num_steps", [1, 3, 4, 20])
def test_there_are_no_halves_of_steps(num_steps):
    history = [{"meta_step": 1 + step, "meta_loss": 1.0} for step in range(num_steps)]
    losses = np.ones((2, num_steps + 1), np.float32)
    short = Evaluation({"a": Runs(losses, losses.mean(1), {})}, 2, num_steps)
    for figure in (meta_training(history, 1), loss_curves([Setting("short", short)], "a")):
        figure.draw_without_rendering()
        ticks = figure.axes[0].get_xticks()
        assert ticks.size
        np.testing.assert_array_equal(ticks, np.round(ticks))


def test_long_curves_are_averaged():
    losses = np.ones((2, 1001), np.float32)
    long = Evaluation({"a": Runs(losses, losses.mean(1), {})}, 2, 1000)
    figure = loss_curves([Setting("long", long)], "a")
    assert "mean of 5 steps" in texts(figure)
    assert len(figure.axes[0].lines[0].get_xdata()) == 200


def test_skew_and_runs_left_out_are_said():
    result = comparison(diverged=2)
    losses = runs(0.2, 2)
    skewed = losses.objective + np.where(np.arange(NUM_TASKS) == 0, 50.0, 1.0)
    result.main.evaluation.runs["sgd"] = Runs(losses.losses, skewed, {})
    verdict = judge(result.main, "GRU(4)", "objective")
    assert verdict.beaten == ("adam",)
    assert verdict.undecided == ("sgd",)
    assert verdict.sentence == (
        "In the objective, GRU(4) is better than adam and cannot be told from sgd. "
        "Differences are over what both finish: from adam over 6 of 8 tasks. Skewed, so that "
        "t-intervals are to be doubted, are differences from sgd (-2.8) and adam (-1.1)."
    )


def test_the_score_in_tuning_stands_beside_that_in_the_comparison(page):
    text = " ".join(page.read_text().split())
    evaluation = comparison().main.evaluation
    fresh = evaluation.summary("adam", "objective")
    assert f"<td>0.3 ± 0.058</td> <td>{fresh.mean:.4g} ± {fresh.sem:.2g}</td>" in text
    assert "<td>3, 0 diverged</td>" in text
    numbers = comparison().as_dict()["tuning"][1]
    assert numbers["in_comparison"]["mean"] == pytest.approx(fresh.mean)
    assert (numbers["score"], numbers["num_runs"]) == (pytest.approx(0.3), 3)
