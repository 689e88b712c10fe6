"""Rows: seeds are averaged, differences are paired, nothing unfinished is averaged over."""

from __future__ import annotations

import pytest

from instruct_ablate.cell.state.legend import budget_text, trained_on
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.contrasts import contrasts
from instruct_ablate.report.seed_means import Row, build_rows
from instruct_ablate.report.statistics.paired import pair
from instruct_ablate.report.trials import Trials
from tests.left_out import left_out
from tests.report.cells import make_cell, make_scores


def by_instruction(rows: tuple[Row, ...]) -> dict[str, Row]:
    return {"untuned" if r.setting.untuned else r.setting.instruction: r for r in rows}


def test_seeds_are_averaged_with_their_deviation():
    (row,) = build_rows([make_cell(50.0, seed=0), make_cell(54.0, seed=1)])
    mean = row.mean("exact_match")
    assert mean is not None
    assert mean.value == pytest.approx(52.0)
    assert mean.deviation == pytest.approx(2.8284, abs=1e-3)
    assert mean.seeds == 2


def test_a_single_seed_has_no_deviation():
    (row,) = build_rows([make_cell(50.0)])
    mean = row.mean("exact_match")
    assert mean is not None
    assert mean.deviation is None


def test_differences_use_only_the_seeds_that_both_sides_have():
    cells = [
        make_cell(60.0, seed=0),
        make_cell(70.0, seed=1),
        make_cell(58.0, seed=1, instruction="simplified"),
        make_cell(99.0, seed=2, instruction="simplified"),
    ]
    row = by_instruction(build_rows(cells))["simplified"]
    assert row.to_reference is not None
    assert row.to_reference.value == pytest.approx(-12.0)
    assert row.to_reference.seeds == 1


def test_the_untuned_model_is_paired_with_every_seed():
    cells = [
        make_cell(20.0, data_budget=0),
        make_cell(60.0, seed=3),
        make_cell(64.0, seed=4),
    ]
    rows = by_instruction(build_rows(cells))
    assert rows["original"].to_untuned is not None
    assert rows["original"].to_untuned.value == pytest.approx(42.0)
    assert rows["untuned"].to_untuned is None
    assert rows["untuned"].to_reference is None


def test_an_untuned_model_with_seeds_is_paired_with_its_own():
    """Examples that the seed draws are shown to the untuned model too: another seed's are no stand-in."""
    cells = [make_cell(exact, data_budget=0, seed=seed) for seed, exact in enumerate((20.0, 30.0))]
    cells += [make_cell(60.0, seed=seed) for seed in (0, 1, 2)]
    row = by_instruction(build_rows(cells))["original"]
    assert row.to_untuned is not None
    assert (row.to_untuned.value, row.to_untuned.seeds) == (35.0, 2)
    begun = [cells[0], make_cell(None, data_budget=0, seed=1), *cells[2:]]
    row = by_instruction(build_rows(begun))["original"]
    assert row.to_untuned is not None
    assert (row.to_untuned.value, row.to_untuned.seeds) == (40.0, 1), "one of them is not done yet"
    claim = parse_hypothesis("original exceeds untuned on exact_match")
    (contrast,) = contrasts(Trials(begun), claim.clauses[0], "original")
    assert not contrast.seedless
    pairing = pair(
        {seed: make_scores(60.0) for seed in (0, 1, 2)},
        {seed: make_scores(exact) for seed, exact in enumerate((20.0, 30.0))},
        "exact_match",
        seedless=True,
    )
    assert pairing is not None
    assert pairing.seeds == (0, 1)
    assert pairing.differences[:, 0].tolist() == [40.0, 30.0]


def test_the_reference_has_no_difference_to_itself():
    rows = by_instruction(build_rows([make_cell(60.0), make_cell(58.0, instruction="simplified")]))
    assert rows["original"].to_reference is None
    assert rows["simplified"].to_reference is not None


def test_unfinished_cells_are_counted_and_not_averaged():
    (row,) = build_rows([make_cell(60.0, seed=0), make_cell(None, seed=1)])
    mean = row.mean("exact_match")
    assert mean is not None
    assert mean.seeds == 1
    assert row.unfinished == (("missing", 1),)


def test_another_reference_can_be_named():
    cells = [make_cell(60.0), make_cell(58.0, instruction="simplified")]
    rows = by_instruction(build_rows(cells, reference="simplified"))
    assert rows["original"].to_reference is not None
    assert rows["original"].to_reference.value == pytest.approx(2.0)


def test_order_is_untuned_then_reference_then_the_others():
    cells = [
        make_cell(1.0, instruction="delusive"),
        make_cell(2.0),
        make_cell(3.0, data_budget=0),
    ]
    assert [r.setting.budget for r in build_rows(cells)] == [0, 8, 8]
    assert [r.setting.instruction for r in build_rows(cells)][1:] == ["original", "delusive"]


def test_a_test_variant_is_compared_with_the_reference_tested_alike():
    cells = [
        make_cell(60.0, tested="delusive"),
        make_cell(50.0, tested="delusive", instruction="simplified"),
    ]
    row = by_instruction(build_rows(cells))["simplified"]
    assert row.to_reference is not None
    assert row.to_reference.value == pytest.approx(-10.0)


def test_baselines_are_called_by_their_name_and_the_untuned_model_untuned():
    untuned = make_cell(1.0, data_budget=0).setting
    assert (trained_on(untuned), budget_text(untuned)) == ("(untuned)", "-")
    assert trained_on(make_cell(1.0, data_budget=0, model="uniform_guess").setting) == "(uniform_guess)"
    assert (trained_on(make_cell(1.0).setting), budget_text(make_cell(1.0).setting)) == ("original", "8")


def test_what_is_left_out():
    assert left_out(Row) == {"templates": 1}
