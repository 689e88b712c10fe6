"""Categories and tasks by variant: means over seeds alone, what was not trained beside each place, clashes said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.record import BlockKey, CellRecord
from instruct_ablate.cell.state.setting.setting import Value
from instruct_ablate.report import report
from instruct_ablate.report.report import write_report
from instruct_ablate.report.tables.pivot import pivot_table
from instruct_ablate.report.tables.tables import Table
from tests.report.cells import make_cell, make_scores
from tests.report.studies import write_study

CELLS = [
    make_cell(20.0, instruction="simplified"),
    make_cell(5.0, data_budget=0),
    make_cell(50.0),
    make_cell(60.0, seed=1),
    make_cell(70.0, data_budget=32),
    make_cell(None, seed=2),
    replace(make_cell(0.0, seed=3), state="failed"),
]


def of(table: Table, **wanted: str) -> dict[str, str]:
    """The one line that has these texts, by heading."""
    lines = [dict(zip(table.headings, line, strict=True)) for line in table.lines]
    (line,) = [one for one in lines if wanted.items() <= one.items()]
    return line


def test_a_line_is_a_group_and_a_place_and_a_column_a_variant():
    table = pivot_table(CELLS, "category")
    assert table.headings[:4] == ("metric", "category", "budget", "instances")
    assert table.headings[4:] == ("(untuned)", "original", "simplified")
    assert table.labels == 3
    logic = of(table, metric="exact match", category="Logic", budget="8")
    assert (logic["original"], logic["simplified"], logic["(untuned)"]) == ("55.0 ± 7.1", "20.0", "5.0")
    other = of(table, metric="exact match", category="Logic", budget="32")
    assert (other["original"], other["simplified"], other["(untuned)"]) == ("70.0", "-", "5.0")
    assert {line[2] for line in table.lines} == {"8", "32"}, "the untuned model has no line of its own"


def test_tasks_stand_with_their_category():
    table = pivot_table(CELLS, "task")
    assert table.headings[:4] == ("metric", "category", "task", "budget")
    line = of(table, metric="ROUGE-L", task="task_g", budget="8")
    assert (line["category"], line["original"], line["instances"]) == ("Rewriting", "40.0 ± 0.0", "100")


def test_a_line_whose_variants_are_over_other_numbers_of_instances_says_so():
    """Predictions made elsewhere may be of a part of the instances, and any of the numbers would be wrong of some."""

    def over(number: int, exact: float, **changes: Value) -> CellRecord:
        cell = make_cell(exact, **changes)
        (block,) = cell.blocks
        own = tuple(replace(one, instances=number) for one in block.scores.categories)
        return replace(cell, blocks=(replace(block, scores=replace(block.scores, categories=own)),))

    cells = [over(40, 50.0), over(60, 55.0, instruction="simplified"), over(20, 5.0, data_budget=0)]
    assert (
        of(pivot_table(cells, "category"), metric="exact match", category="Logic")["instances"] == "20 to 60"
    )
    assert of(pivot_table(cells[:1], "category"), metric="exact match", category="Logic")["instances"] == "40"


def test_scores_are_means_over_templates_and_the_best_of_a_line_is_bold():
    blocks = [
        replace(make_cell(exact).blocks[0], scores=make_scores(exact, rouge), key=BlockKey("", str(place)))
        for place, (exact, rouge) in enumerate(((50.0, 10.0), (90.0, 30.0)))
    ]
    cells = [replace(make_cell(1.0), blocks=tuple(blocks)), make_cell(60.0, instruction="simplified")]
    table = pivot_table(cells, "task")
    exact = of(table, metric="exact match", task="task_c")
    assert (exact["original"], exact["simplified"]) == ("70.0", "60.0")
    rouge = of(table, metric="ROUGE-L", task="task_g")
    assert (rouge["original"], rouge["simplified"]) == ("20.0", "40.0")
    bold = {(table.lines[line][0], table.lines[line][2], table.headings[place]) for line, place in table.best}
    assert {("exact match", "task_c", "original"), ("ROUGE-L", "task_g", "simplified")} <= bold
    assert not {("exact match", "task_c", "simplified"), ("ROUGE-L", "task_g", "original")} & bold
    assert {place for _, _, place in bold} == {"original", "simplified"}


def test_the_reference_stands_before_other_variants():
    cells = [make_cell(40.0, instruction="abridged"), make_cell(50.0)]
    assert pivot_table(cells, "category").headings[-2:] == ("original", "abridged")
    assert pivot_table(cells, "category", "abridged").headings[-2:] == ("abridged", "original")


def test_no_other_axis_is_averaged_over():
    cells = [make_cell(50.0, model=model, lr=lr) for model in ("tiny", "larger") for lr in (1e-4, 1e-3)]
    table = pivot_table(cells, "category")
    assert len([line for line in table.lines if line[:2] == ("exact match", "Logic")]) == 4


def test_what_was_tested_otherwise_is_a_column_of_its_own():
    cells = [make_cell(50.0), make_cell(30.0, tested="delusive", seed=1)]
    assert pivot_table(cells, "category").headings[-2:] == ("original, tested on delusive", "original")


def test_a_model_that_was_never_trained_keeps_its_line():
    table = pivot_table([make_cell(5.0, data_budget=0)], "category")
    assert of(table, metric="exact match", category="Logic")["(untuned)"] == "5.0"
    assert pivot_table([], "task").lines == ()


def test_an_untuned_model_stands_beside_its_own_places_alone():
    cells = [
        make_cell(exact, model=model, data_budget=budget)
        for model, own in (("tiny", (5.0, 50.0, 60.0)), ("larger", (7.0, 70.0, 80.0)))
        for budget, exact in zip((0, 8, 32), own, strict=True)
    ]
    table = pivot_table(cells, "category")
    for model, untuned in (("tiny", "5.0"), ("larger", "7.0")):
        for budget in ("8", "32"):
            assert (
                of(table, metric="exact match", category="Logic", model=model, budget=budget)["(untuned)"]
                == untuned
            )
    assert "-" not in {line[table.headings.index("budget")] for line in table.lines}


def test_cells_that_are_one_setting_and_seed_are_a_clash():
    table = pivot_table([make_cell(50.0), replace(make_cell(60.0), name="other")], "category")
    assert of(table, metric="exact match", category="Logic")["original"] == "clash"


def test_people_read_a_pivot_and_machines_a_line_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "draw_figures", lambda *_: ())
    folder = write_report(write_study(tmp_path / "s", CELLS)).folder
    for name in ("categories", "tasks"):
        assert "| (untuned) | original | simplified |" in (folder / f"{name}.md").read_text().splitlines()[0]
        long = (folder / f"{name}.csv").read_text().splitlines()
        assert long[0].startswith("cell,model,budget,trained on,tested on,seed,category,")
        assert len(long) == 1 + 2 * 5, "a line a cell that is done, and group"
    page = (folder / "index.html").read_text()
    assert 'id="groups-table"' in page
    assert 'id="tasks-table"' in page


def test_a_page_says_where_tasks_are_that_are_too_many_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(report, "draw_figures", lambda *_: ())
    monkeypatch.setattr("instruct_ablate.report.page.page.MOST_ON_PAGE", 3)
    page = write_report(write_study(tmp_path / "s", CELLS)).page.read_text()
    assert 'id="tasks-table"' not in page
    assert "lines: see tasks.md and tasks.csv beside a report" in page


def test_what_was_trained_elsewhere_is_no_seed_of_what_was_trained_here():
    here = [make_cell(90.0 + seed, seed=seed) for seed in (0, 1)]
    elsewhere = [make_cell(60.0 + seed, seed=seed, method="imported") for seed in (2, 3)]
    untuned = [make_cell(5.0, data_budget=0), make_cell(10.0, data_budget=0, method="imported")]
    cells = [*here, *elsewhere, *untuned, make_cell(33.0, model="majority", data_budget=0)]
    table = pivot_table(cells, "category")
    for method, mean in (("full", "90.5 ± 0.7"), ("imported", "62.5 ± 0.7")):
        logic = of(table, metric="exact match", category="Logic", method=method)
        assert logic["original"] == mean
        assert (logic["(untuned)"], logic["(tiny)"], logic["(majority)"]) == ("5.0", "10.0", "33.0")


def test_baselines_stand_beside_places_that_untuned_models_have_too():
    cells = [make_cell(5.0, data_budget=0, prompt=prompt) for prompt in ("alpaca", "plain", "chat")]
    cells += [make_cell(50.0, prompt=prompt) for prompt in ("alpaca", "plain")]
    table = pivot_table([*cells, make_cell(33.0, model="majority", data_budget=0)], "category")
    for prompt, original in (("alpaca", "50.0"), ("plain", "50.0"), ("chat", "-")):
        logic = of(table, metric="exact match", category="Logic", prompt=prompt)
        assert (logic["(majority)"], logic["(untuned)"], logic["original"]) == ("33.0", "5.0", original)
    assert {line[table.headings.index("prompt")] for line in table.lines} == {"alpaca", "plain", "chat"}
