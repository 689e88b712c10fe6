"""Scores over the share of training, in a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from instruct_ablate.cell.state.record.record import Selected
from instruct_ablate.disk.score_curve import FILE, HELD_OUT, Point, add_points
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.metrics import find_measure
from instruct_ablate.report.figures.score_curves import MOST, over_training, score_curve_table, score_curves
from instruct_ablate.report.figures.styles import Styles
from instruct_ablate.report.rows.computed import apart_in
from tests.report.cells import make_cell
from tests.report.studies import write_study


def study_of(folder: Path, states: tuple[str, ...] = ("done", "done")) -> Path:
    cells = [make_cell(50.0, seed=seed) for seed in range(2)]
    study = write_study(folder, cells)
    for seed, cell in enumerate(cells):
        for step, value in ((1, 10.0), (10, 40.0)):
            point = Point(step, 10, cell.setting.tests[0], 8, "abcd", 0.1, (("rougeL", value + 2 * seed),))
            add_points(study / cell.name / FILE, [point])
    return study


def test_a_table_has_the_mean_over_seeds_by_share(tmp_path: Path) -> None:
    table = score_curve_table(read_study(study_of(tmp_path / "s")))
    assert [line[2:] for line in table.lines] == [("10%", "2", "8", "11.00"), ("100%", "2", "8", "41.00")]
    assert table.headings[-1].startswith("ROUGE-L")


def test_points_of_another_sample_make_a_curve_of_their_own(tmp_path: Path) -> None:
    folder = study_of(tmp_path / "s")
    cell = read_study(folder).cells[0]
    other = Point(10, 10, cell.setting.tests[0], 3, "other", 0.1, (("rougeL", 90.0),))
    add_points(folder / cell.name / FILE, [other])
    curves = score_curves(read_study(folder))
    assert sorted(curve.means("rougeL")[-1] for curve in curves) == [(1.0, 42.0), (1.0, 90.0)]


def test_chosen_points_are_counted_and_ringed(tmp_path: Path) -> None:
    cells = [
        replace(make_cell(50.0, seed=seed), selected=Selected("rougeL", step, 10, 10, ((1, 8.0), (10, 9.0))))
        for seed, step in enumerate((1, 10, 10))
    ]
    study = write_study(tmp_path / "s", cells)
    for cell in cells:
        points = [Point(step, 10, HELD_OUT, 8, "abcd", 0.1, (("rougeL", 8.0),)) for step in (1, 10)]
        add_points(study / cell.name / FILE, points)
    read = read_study(study)
    table = score_curve_table(read)
    assert table.headings[3:5] == ("cells", "chosen")
    assert [line[1:5] for line in table.lines] == [(HELD_OUT, "10%", "3", "1"), (HELD_OUT, "100%", "3", "2")]
    axes = Figure().subplots()
    assert over_training(axes, read, find_measure("rougeL"), Styles(cell.setting for cell in read.cells))
    (rings,) = axes.collections
    assert [list(place) for place in rings.get_offsets()] == [[10.0, 8.0], [100.0, 8.0]]


def test_a_figure_is_drawn_where_there_are_points(tmp_path: Path) -> None:
    study = read_study(study_of(tmp_path / "s"))
    styles, measure = Styles(cell.setting for cell in study.cells), find_measure("rougeL")
    axes = Figure().subplots()
    assert over_training(axes, study, measure, styles)
    (line,) = axes.lines
    assert list(line.get_xdata()) == [10.0, 100.0]
    assert list(line.get_ydata()) == [11.0, 41.0]
    assert axes.get_title() == "", "all settings are there"
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == [
        curve.name for curve in score_curves(study)
    ]
    bare = read_study(write_study(tmp_path / "bare", [make_cell(50.0)]))
    empty = Figure().subplots()
    assert not over_training(empty, bare, measure, styles)
    assert empty.get_legend() is None
    assert not score_curve_table(bare).lines


def test_shares_are_one_where_four_digits_are(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", [make_cell(50.0)])
    (cell,) = read_study(folder).cells
    for step in (12_345, 12_346, 12_356):
        point = Point(step, 100_000, cell.setting.tests[0], 8, "abcd", 0.1, (("rougeL", 1.0 * step),))
        add_points(folder / cell.name / FILE, [point])
    (curve,) = score_curves(read_study(folder))
    shares = [share for share, _ in curve.by_share]
    assert shares == sorted({round(step / 100_000, 4) for step in (12_345, 12_346, 12_356)})


def test_a_figure_has_its_first_settings_and_says_how_many_there_are(tmp_path: Path) -> None:
    cells = [make_cell(50.0, data_budget=budget) for budget in range(1, MOST + 2)]
    folder = write_study(tmp_path / "s", cells)
    for cell in cells:
        point = Point(10, 10, cell.setting.tests[0], 8, "abcd", 0.1, (("rougeL", 1.0),))
        add_points(folder / cell.name / FILE, [point])
    study, axes = read_study(folder), Figure().subplots()
    assert over_training(axes, study, find_measure("rougeL"), Styles(cell.setting for cell in study.cells))
    assert len(axes.lines) == MOST
    assert axes.get_title().startswith("8 of 9 settings")


NOW, BEFORE = (("scoring rules", "version 3"),), (("scoring rules", "version 2"),)


def with_rules(folder: Path, *rules: tuple[tuple[str, str], ...], scoring: int) -> Study:
    """A cell a seed, its points scored by these rules each, and the cells by the version of today's record."""
    cells = [make_cell(50.0, seed=seed) for seed in range(len(rules))]
    cells = [
        replace(cell, blocks=tuple(replace(one, scoring=scoring) for one in cell.blocks)) for cell in cells
    ]
    write_study(folder, cells)
    for cell, own in zip(cells, rules, strict=True):
        point = Point(10, 10, cell.setting.tests[0], 8, "abcd", 0.1, (("rougeL", 1.0),), own)
        add_points(folder / cell.name / FILE, [point])
    return read_study(folder)


def test_points_of_several_scoring_rules_are_told_in_table_figure_and_report(tmp_path: Path) -> None:
    study = with_rules(tmp_path / "s", NOW, BEFORE, (), scoring=3)
    table = score_curve_table(study)
    place = table.headings.index("scored by")
    told = "not noted and scoring rules version 2 and scoring rules version 3"
    assert [line[place] for line in table.lines] == [told]
    axes = Figure().subplots()
    assert over_training(axes, study, find_measure("rougeL"), Styles(cell.setting for cell in study.cells))
    assert axes.get_title().startswith("not all points scored by the same rules")
    (line,) = apart_in(study)
    assert line == (
        "scores while training, which cannot be made again: not noted (1 cell); scoring rules version 2 (1 cell: "
        "tiny-original-8-1); scoring rules version 3 (1 cell: tiny-original-8-0)"
    )


@pytest.mark.parametrize(
    ("rules", "scoring", "told"),
    [
        (NOW, 3, ""),
        ((), 0, ""),  # an early study, that nobody scored again
        (BEFORE, 3, "scoring rules version 2 (2 cells)"),  # rescored since
        ((), 3, "not noted (2 cells)"),
        ((*NOW, ("file of metric own", "abcd1234")), 3, ""),  # which the cell has not any more
    ],
)
def test_points_by_other_rules_than_their_cells_are_told(
    rules: tuple[tuple[str, str], ...], scoring: int, told: str, tmp_path: Path
) -> None:
    study = with_rules(tmp_path / "s", rules, rules, scoring=scoring)
    start = "scores while training, which cannot be made again: "
    assert apart_in(study) == ((start + told,) if told else ())
    assert "scored by" not in score_curve_table(study).headings, "they are all alike"


def test_points_of_one_cell_alone_are_those_of_one_cell(tmp_path: Path) -> None:
    (line,) = apart_in(with_rules(tmp_path / "s", BEFORE, scoring=3))
    assert line.endswith("scoring rules version 2 (1 cell)")
