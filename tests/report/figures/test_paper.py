"""What a paper prints: widths with their source, bold by a stated rule, captions that stand alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from instruct_ablate.commands import report as report_command
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.figures.figures import draw_figures, over_budget
from instruct_ablate.report.figures.paper import PAPERS, SCREEN, best, bold_rule, groups_caption, main_caption
from instruct_ablate.report.figures.styles import Styles
from instruct_ablate.report.rows.columns import main_columns
from instruct_ablate.report.rows.seed_means import Mean, build_rows
from instruct_ablate.report.tables.pivot import pivot_table
from instruct_ablate.report.tables.tables import Table, latex, main_table
from tests.report.cells import make_cell
from tests.report.studies import write_study


@pytest.mark.parametrize(
    ("means", "places"),
    [
        ([Mean(50.0, 1.0, 5), Mean(40.0, 1.0, 5), None], {0}),
        ([Mean(50.0, 1.0, 5), Mean(49.0, 1.0, 5), Mean(40.0, 1.0, 5)], {0, 1}),
        ([Mean(50.0, 1.0, 2), Mean(40.0, None, 1), Mean(10.0, None, 1)], {0}),  # 50 ± 9.0
        ([Mean(50.0, 1.0, 2), Mean(41.1, None, 1), Mean(10.0, None, 1)], {0, 1}),
        ([Mean(50.0, None, 1), Mean(49.9, None, 1)], {0}),  # a single seed has no interval
        ([Mean(90.0, 0.0, 3), Mean(90.0, 0.0, 3)], set()),  # all of them
        # Equal but for rounding, as means over other tasks are: both are the best, whichever stands first.
        ([Mean(31.944444444444443, None, 1), Mean(31.944444444444446, None, 1), Mean(9.0, None, 1)], {0, 1}),
        ([Mean(31.944444444444446, None, 1), Mean(31.944444444444443, None, 1), Mean(9.0, None, 1)], {0, 1}),
        ([Mean(50.0, 1.0, 2), Mean(50.0, None, 1), Mean(45.0, None, 1)], set()),  # 45 overlaps 50 ± 9.0
        ([Mean(50.0, None, 1), Mean(50.0, 1.0, 2), Mean(45.0, None, 1)], set()),
        ([None, None], set()),
        ([], set()),
    ],
)
def test_bold_is_the_best_and_what_cannot_be_told_from_it(means: list[Mean | None], places: set[int]):
    assert best(means, higher=True) == places


def test_of_some_metrics_the_lowest_is_best():
    assert best([Mean(50.0, None, 1), Mean(40.0, None, 1)], higher=False) == {1}


def test_the_main_table_is_bold_by_column_and_pivots_by_line():
    cells = [make_cell(50.0 + seed / 10, seed=seed) for seed in (0, 1, 2)]
    cells += [make_cell(20.0 + seed / 10, seed=seed, instruction="simplified") for seed in (0, 1, 2)]
    table = main_table(build_rows(cells), "original")
    names = {table.headings[column] for _, column in table.best}
    assert names == {"exact match", "ROUGE-L (all)"}, "the others are the same, and differences are no scores"
    assert {table.lines[line][0] for line, _ in table.best} == {"original"}
    text = latex(table, bold_rule("column"), "main")
    assert r"original & \textbf{50.10 $\pm$ 0.10} & " in text
    assert r"simplified & 20.10 $\pm$ 0.10 & " in text
    assert "overlaps that of the best" in text
    by_category = pivot_table(cells, "category")
    assert {by_category.headings[column] for _, column in by_category.best} == {"original"}
    assert r"\textbf{50.1 $\pm$ 0.1}" in latex(by_category, "")


def test_a_column_that_is_left_out_leaves_the_bold_where_it_is():
    table = Table(
        "t", ("a", "b", "cells"), (("x", "1", "done"), ("y", "2", "done")), best=frozenset({(1, 1)})
    )
    assert r"y & \textbf{2} \\" in latex(table, "")


def test_a_number_below_zero_has_a_minus_and_words_keep_their_hyphens():
    table = Table("t", ("a", "ROUGE-L"), (("tk-2", "-13.79 ± 2.82"), ("+changes", "[-1.20, -0.10]")))
    text = latex(table, "")
    assert r"tk-2 & $-$13.79 $\pm$ 2.82" in text
    assert r"{[}$-$1.20, $-$0.10{]}" in text
    assert "ROUGE-L" in text


def test_a_caption_says_what_differs_what_the_numbers_are_and_what_is_shared():
    rows = build_rows([make_cell(50.0, seed=seed, lr=lr) for seed in (0, 1) for lr in (1e-4, 1e-3)])
    told = main_caption("study", rows, main_columns(rows))
    assert told.startswith(
        "study: scores by trainer.learning_rate and trained on; mean ± standard deviation over 2 seeds; "
        "percentages averaged per task, of 1 classification (100 instances)"
    )
    assert bold_rule("column") in told
    assert "the differences to other rows are of exact match" in told
    assert told.endswith(".")
    assert " All rows: tasks starter, " in told
    assert "one seed" in main_caption("study", build_rows([make_cell(50.0)]), ("exact_match",))
    assert "differences" not in main_caption("study", rows, ("exact_match",))


def test_a_caption_of_groups_counts_seeds_and_says_what_must_be_known_of_all_rows():
    cells = [
        make_cell(50.0),
        make_cell(52.0, seed=1),
        make_cell(40.0, model="flan_t5_base", **{"tasks.reader": "natural_instructions"}),
    ]
    told = groups_caption(build_rows(cells))
    assert (
        "of a cell the mean over instances; mean ± standard deviation over up to 2 seeds; without ±" in told
    )
    assert "Contamination: flan_t5_base has probably seen Super-NI" in told
    assert told.endswith(bold_rule("line"))
    assert "mean over instances; one seed. " in groups_caption(build_rows(cells[:1]))


def test_a_sign_within_a_value_stays_in_the_caption():
    rows = build_rows([make_cell(60.0, model="a=b"), make_cell(50.0, model="a=b", instruction="simplified")])
    assert "model a=b" in main_caption("study", rows, main_columns(rows))


def test_wide_tables_stand_over_both_columns_and_narrow_ones_in_one():
    wide = Table("t", tuple("abcdefg"), (("x", *"123456"),))
    assert "\\begin{table*}" in latex(wide, "", paper=PAPERS["acl"])
    assert "\\end{table*}" in latex(wide, "", paper=PAPERS["acl"])
    assert "\\begin{table}" in latex(wide, "", paper=PAPERS["neurips"])
    assert "\\begin{table}" in latex(Table("t", ("a", "b"), (("x", "1"),)), "", paper=PAPERS["acl"])
    long = Table("t", ("a", "b"), tuple((str(n), "1") for n in range(46)))
    assert "\\onecolumn" in latex(long, "", paper=PAPERS["acl"])
    assert "\\onecolumn" not in latex(long, "")


def width_of(path: Path) -> float:
    """The inches that a figure says it is wide."""
    found = re.search(r'<svg [^>]*width="([\d.]+)pt"', path.read_text(encoding="utf-8"))
    assert found
    return float(found[1]) / 72


@pytest.mark.parametrize(("name", "column", "text"), [("acl", 3.03, 6.30), ("neurips", 5.5, 5.5)])
def test_figures_are_as_wide_as_a_column_and_matrices_as_the_text(
    tmp_path: Path, name: str, column: float, text: float
):
    study = read_study(write_study(tmp_path / "s", [make_cell(50.0)]))
    rows = build_rows(study.cells)
    drawn = {path.stem: path for path in draw_figures(tmp_path / "f", rows, (), study, PAPERS[name])}
    assert width_of(drawn["exact_match"]) == pytest.approx(column, abs=0.01)
    assert width_of(drawn["categories"]) == pytest.approx(text, abs=0.01)


@pytest.mark.parametrize("width", [PAPERS["acl"].column, SCREEN.column])
def test_a_legend_with_long_names_stays_within_the_figure(width: float):
    cells = [make_cell(50.0 + n, instruction=f"a_variant_with_a_rather_long_name_{n}", data_budget=b)
             for n in range(4) for b in (2, 8)]  # fmt: skip
    rows, figure = build_rows(cells), Figure(figsize=(width, 4.0), layout="constrained")
    assert over_budget(
        figure.subplots(), rows, find_measure("exact_match"), Styles(row.setting for row in rows)
    )
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= width * figure.dpi


def test_the_command_takes_a_style(monkeypatch: pytest.MonkeyPatch):
    given = []

    def write(*parts: object) -> None:
        given.append(parts)
        raise KeyboardInterrupt

    monkeypatch.setattr("instruct_ablate.report.report.write_report", write)
    CliRunner().invoke(report_command.command, ["s", "--width", "acl"])
    CliRunner().invoke(report_command.command, ["s"])
    assert [parts[-1] for parts in given] == [PAPERS["acl"], SCREEN]
    refused = CliRunner().invoke(report_command.command, ["s", "--width", "b5"])
    assert "'acl', 'neurips'" in refused.output
