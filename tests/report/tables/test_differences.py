"""Differences: each setting meets its own reference."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from statsmodels.stats.multitest import multipletests

from instruct_ablate.cell.state.record.record import BlockKey, CellRecord
from instruct_ablate.cell.state.setting.legend import Legend
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import TaskScore
from instruct_ablate.report.rows.single_scores import SingleScores
from instruct_ablate.report.statistics.finding import probability
from instruct_ablate.report.tables.differences import (
    Difference,
    difference_caption,
    difference_table,
    differences,
    measured_designs,
    measures,
)
from tests.report.cells import LIKELIHOODS, make_cell, with_likelihoods
from tests.report.studies import small_study, write_study
from tests.scored import score


def over_tasks(cell: CellRecord, exact: float, tasks: int = 6, noise: float = 3.0) -> CellRecord:
    """The cell over so many tasks about this exact match; ROUGE-L varies more, and more from seed to seed."""
    chance = random.Random(f"{cell.name} {cell.seed}")
    rouge = chance.gauss(50, 2 * noise)
    made = []
    for place in range(tasks):
        both = exact + chance.gauss(place, noise), rouge + chance.gauss(place, noise)
        made.append(
            TaskScore(
                "classification", "Logic", score(f"t{place}", 100, both[0], both[1], both[1], 90.0, 33.0)
            )
        )
    scores = replace(cell.blocks[0].scores, tasks=tuple(made))
    return replace(cell, blocks=(replace(cell.blocks[0], scores=scores),))


def study(*variants: tuple[str, float, Sequence[int]]) -> list[CellRecord]:
    """Cells of variants: about which exact match, with which seeds."""
    return [
        over_tasks(make_cell(1.0, seed=seed, instruction=name), exact)
        for name, exact, seeds in variants
        for seed in seeds
    ]


def of(found: Sequence[Difference], variant: str, metric: str = "exact_match") -> Difference:
    (one,) = [one for one in found if one.trial.setting.instruction == variant and one.metric == metric]
    return one


WIDE = study(
    ("original", 50.0, range(3)),
    ("simplified", 42.0, range(3)),
    ("delusive", 54.0, range(3)),
    ("misleading", 50.5, range(3)),
    ("empty", 30.0, range(2)),
)


def test_holm_is_taken_over_all_variants_and_metrics_of_the_table_at_once():
    """By statsmodels; nothing in nats is tested for equality within points, or counts among those that are."""
    cells = [with_likelihoods(cell, -1.0 - cell.seed / 7) for cell in WIDE]
    found = differences(cells, "original", ("exact_match", "rougeL", LIKELIHOODS[0]))
    assert len({(one.trial, one.metric) for one in found}) == len(found) >= 12
    raw = [one.comparison.p_difference for one in found]
    known = [place for place, p in enumerate(raw) if not math.isnan(p)]
    assert len(known) >= 8
    expected = dict(zip(known, multipletests([raw[place] for place in known], method="holm")[1], strict=True))
    assert [found[place].p_difference for place in known] == pytest.approx(list(expected.values()))
    points = [one for one in found if one.metric not in LIKELIHOODS]
    equal = multipletests([one.comparison.p_equivalence(2.0) for one in points], method="holm")[1]
    assert [one.p_equivalence for one in points] == pytest.approx(list(equal))
    assert all(math.isnan(one.p_equivalence) for one in found if one not in points)
    table = difference_table(points, Legend(cell.setting for cell in cells))
    shown = [line[table.headings.index("p (difference)")] for line in table.lines]
    assert shown == [probability(one.p_difference) for one in points]
    assert shown != [probability(one.comparison.p_difference) for one in points]
    corrected = of(found, "simplified")
    line = table.lines[points.index(corrected)]
    by_name = dict(zip(table.headings, line, strict=True))
    assert (by_name["seeds"], by_name["tasks"]) == ("3", "6")
    assert by_name["difference"] == f"{corrected.comparison.mean:+.2f}"
    low, high = corrected.comparison.interval(0.95)
    assert by_name["95 % interval"] == f"[{low:+.2f}, {high:+.2f}]"


def test_a_trained_reference_of_one_seed_stands_against_that_seed_alone():
    found = differences(study(("original", 50.0, [1]), ("simplified", 47.0, range(3))), "original")
    assert {one.pairing.seeds for one in found} == {(1,)}
    assert all(one.comparison.one_seed for one in found)


def test_a_comparison_of_one_seed_takes_the_variance_of_others_on_its_own_metric():
    """Whose freedom counts that they share the reference: 4 + 4 seeds have 2 x 3 / (1 + 1/4)."""
    cells = study(
        *((name, 50.0, range(4)) for name in ("original", "delusive", "empty")), ("simplified", 47.0, [2])
    )
    alone = of(differences(cells, "original", ("exact_match",)), "simplified").comparison
    assert alone.seeds_from == "pooled"
    assert alone.terms.seed_freedom == pytest.approx(2 * 3 / (1 + 1 / 4))
    both = differences(cells, "original", ("exact_match", "rougeL"))
    assert of(both, "simplified").comparison == alone
    assert of(both, "simplified", "rougeL").comparison.terms.seed != alone.terms.seed


def test_an_untuned_model_is_without_seeds_unless_one_side_is_drawn():
    untuned = [
        over_tasks(make_cell(1.0, tested=name, data_budget=0), 40.0)
        for name in ("original", "delusive", "random_labels")
    ]
    found = {one.trial.tested: one.comparison for one in differences(untuned, "original", ("exact_match",))}
    assert (found["delusive"].seeds_from, found["delusive"].one_seed) == ("none", False)
    assert (found["random_labels"].seeds_from, found["random_labels"].one_seed) == ("left out", True)


def test_differences_over_templates_have_what_each_did():
    cells = [
        replace(
            cell,
            blocks=tuple(
                replace(over_tasks(cell, 50.0 + at).blocks[0], key=BlockKey("", name))
                for at, name in enumerate(("bars", "plain", "tk_instruct"))
            ),
        )
        for cell in study(("original", 1.0, range(2)), ("simplified", 1.0, range(2)))
    ]
    found = of(differences(cells, "original", ("exact_match",)), "simplified")
    assert [effects.shape for effects in found.pairing.templates] == [(3, 6)]


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


def test_the_caption_names_tasks_that_not_both_sides_have():
    cells = [make_cell(50.0), make_cell(45.0, instruction="simplified")]
    (block,) = cells[1].blocks
    fewer = replace(block.scores, tasks=block.scores.tasks[1:])
    assert "tasks are left out" not in difference_caption(differences(cells, "original"))
    cells[1] = replace(cells[1], blocks=(replace(block, scores=fewer),))
    said = difference_caption(differences(cells, "original"))
    assert (
        "In some, tasks are left out, for not both sides have them on as many instances: task_c. Finds"
        in said
    )


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
