"""The results in the documentation: they are read, and give the pages that stand there."""

import json
import shutil
from pathlib import Path

import pytest

from l2o.studies import find_reproduction
from l2o.studies.flatness.page import matched_rows, summary_rows, verdicts

DOCUMENTED = Path(__file__).parents[2] / "docs/results"


@pytest.fixture(scope="module", params=["flatness", "multi-objective"])
def drawn(request, tmp_path_factory):
    """The folder of a study of which there is nothing but the results, drawn anew."""
    out = tmp_path_factory.mktemp("results") / request.param
    out.mkdir()
    shutil.copy(DOCUMENTED / request.param / "results.json", out)
    page = find_reproduction(request.param).draw(out)
    assert page == out / "report.html"
    return out


def test_figures_and_pages_are_drawn_from_the_results_alone(drawn):
    written = {path.name for path in (DOCUMENTED / drawn.name / "figures").iterdir()}
    assert written <= {path.name for path in (drawn / "figures").iterdir()}
    page = (drawn / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<table>") == page.count("</table>") > 3
    assert page.count("<figure>") == page.count("<svg")
    # Nothing is fetched from elsewhere.
    assert "<script" not in page
    assert "<link" not in page


def test_pages_begin_with_what_was_found(drawn):
    page = (drawn / "report.html").read_text()
    results = json.loads((drawn / "results.json").read_text())
    first = page.index("<ul>")
    assert page.index("<h1>") < first < page.index("<figure>") < page.index("<table>")
    assert results["command"] in page
    assert f"jax {results['versions']['jax']}" in page


def test_the_page_in_the_documentation_is_what_is_drawn(drawn):
    if drawn.name == "flatness":
        # Written by hand from the numbers, which `test_flatness` holds it to.
        assert not (drawn / "README.md").exists()
    else:
        page = (DOCUMENTED / drawn.name / "README.md").read_text()
        assert (drawn / "README.md").read_text() == page


def test_every_cell_of_the_flatness_study_has_its_row():
    results = json.loads((DOCUMENTED / "flatness/results.json").read_text())
    kinds = {row["optimizee"] for row in results["rows"]}
    assert len(kinds) == 6
    for kind in kinds:
        cells = {
            (row["architecture"], row["regularizer"], row["enhanced"], row["control"])
            for row in results["rows"]
            if row["optimizee"] == kind
        }
        rows = summary_rows(results, kind)
        assert len(rows) == len(cells)
        assert {len(means) for _, _, means in rows} == {5}
        matched = matched_rows(results, kind)
        assert len(matched) == sum(each["optimizee"] == kind for each in results["comparisons"])
        assert all(row["method"] != row["against"] for row in matched)
    assert len(verdicts(results)) == len(set(verdicts(results)))
