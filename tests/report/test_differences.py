"""Differences: each setting meets its own reference."""

from __future__ import annotations

import math
from pathlib import Path

from instruct_ablate.cell.state.legend import Legend
from instruct_ablate.grid.study import read_study
from instruct_ablate.report.differences import (
    difference_caption,
    difference_table,
    differences,
    measured_designs,
    measures,
)
from instruct_ablate.report.single_scores import SingleScores
from tests.report.cells import make_cell
from tests.report.studies import small_study, write_study


def test_each_budget_meets_its_own_reference():
    cells = [make_cell(50.0 + b, data_budget=b) for b in (2, 8)]
    cells += [make_cell(40.0 + b, data_budget=b, instruction="simplified") for b in (2, 8)]
    found = [item for item in differences(cells, "original") if item.metric == "exact_match"]
    assert [item.trial.setting.budget for item in found] == [2, 8]
    assert all(item.comparison.mean == -10.0 for item in found)


def test_the_reference_is_compared_with_itself_only_under_another_test_instruction():
    cells = [make_cell(50.0), make_cell(40.0, tested="delusive")]
    found = differences(cells, "original")
    assert {item.trial.tested for item in found} == {"delusive"}


def test_p_values_are_corrected_over_the_table():
    cells = [make_cell(50.0, seed=s) for s in range(3)]
    cells += [make_cell(45.0 + s / 10, seed=s, instruction="simplified") for s in range(3)]
    found = differences(cells, "original")
    raw = [item.comparison.p_difference for item in found]
    assert all(item.p_difference >= p for item, p in zip(found, raw, strict=True) if not math.isnan(p))


def test_the_caption_counts_what_is_corrected_for_and_says_what_is_not():
    cells = [make_cell(50.0 + s, seed=s) for s in range(3)]
    cells += [make_cell(45.0 + s * s, seed=s, instruction="simplified") for s in range(3)]
    found = differences(cells, "original")
    able = sum(not math.isnan(one.p_difference) for one in found)
    said = difference_caption(found)
    assert able
    assert f"Holm-corrected over this table ({able} comparison" in said
    assert "permutation p-values and intervals are not." in said
    assert "(this seed)" not in said
    alone = difference_caption(differences([cells[0], cells[3]], "original"))
    assert "(0 comparisons and 0 comparisons)" in alone
    assert "(this seed)" in alone


def test_table_lines_fit_the_headings():
    cells = [make_cell(50.0), make_cell(45.0, instruction="simplified")]
    table = difference_table(differences(cells, "original"), Legend(cell.setting for cell in cells))
    assert {len(line) for line in table.lines} == {len(table.headings)}


def test_nothing_to_compare():
    assert differences([make_cell(50.0)], "original") == ()
    assert differences([], "original") == ()


def test_one_seed_has_no_p_value_and_says_what_its_interval_is_of():
    cells = [make_cell(50.0), make_cell(45.0, instruction="simplified")]
    (found,) = [item for item in differences(cells, "original") if item.metric == "rougeL"]
    assert math.isnan(found.p_difference)
    assert math.isnan(found.p_equivalence)
    table = difference_table([found], Legend(cell.setting for cell in cells))
    assert any("(this seed)" in text for text in table.lines[0])


def test_designs_of_earlier_studies(tmp_path: Path):
    cells = [make_cell(80.0 + s, seed=s, instruction=i) for s in (0, 1) for i in ("original", "simplified")]
    moving, still = write_study(tmp_path / "a", cells), write_study(tmp_path / "b", [make_cell(0.0)])
    (found,) = measured_designs([read_study(moving), read_study(still)])
    assert (found.seeds, found.tasks) == (2, 1)
    assert measured_designs([read_study(small_study(tmp_path / "guess"))]) != []


def test_equal_means_within_two_points_and_the_table_says_so():
    cells = [
        make_cell(50.0 + s % 2, seed=s, instruction=i) for s in range(3) for i in ("original", "simplified")
    ]
    found = differences(cells, "original")
    assert "p (equal within 2)" in difference_table(found, Legend(cell.setting for cell in cells)).headings
    (rouge,) = [item for item in found if item.metric == "rougeL"]
    assert rouge.p_equivalence == rouge.comparison.p_equivalence(2.0), (
        "the others say nothing: none to correct for"
    )
    assert rouge.comparison.p_equivalence(3.0) < rouge.p_equivalence


def test_a_study_of_one_seed_has_no_design_to_learn_from(tmp_path: Path):
    cells = [make_cell(80.0, instruction=i) for i in ("original", "simplified")]
    assert measured_designs([read_study(write_study(tmp_path / "a", cells))]) == []


def test_designs_are_the_same_whether_single_scores_are_read(tmp_path: Path):
    study = read_study(small_study(tmp_path / "s"))
    scores = SingleScores(study.cells, study.folder)
    every = [one for one in differences(study.cells, "original", scores=scores) if measures(one)]
    read = [one.comparison.design for one in every if one.metric == every[0].metric]
    found = measured_designs([study])
    assert [one.parts for one in found] == [one.parts for one in read] != []
    assert [(one.seeds, one.tasks) for one in found] == [(one.seeds, one.tasks) for one in read]
