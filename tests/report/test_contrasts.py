"""Contrasts: the right pairs for training, test, untuned, baseline and decoding claims."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.state.record import CellRecord, ScoreBlock
from instruct_ablate.hypotheses import parse_hypothesis
from instruct_ablate.report.contrasts import UnmatchedError, contrasts
from instruct_ablate.report.trials import Trials
from tests.report.cells import make_cell, make_scores


def block_of(cell: CellRecord, label: str, exact: float) -> CellRecord:
    """Add a score block under another test instruction."""
    return replace(cell, blocks=(*cell.blocks, ScoreBlock(label, "p", make_scores(exact))))


def found(cells, text: str) -> list[tuple[int, float, float]]:
    (clause,) = parse_hypothesis(text).clauses
    try:
        result = sorted(
            contrasts(Trials(cells), clause, "original"), key=lambda contrast: contrast.place.setting.budget
        )
    except UnmatchedError:
        return []
    first = [
        (c.place.setting.budget, next(iter(c.left.values())), next(iter(c.right.values()))) for c in result
    ]
    return [
        (budget, a.tasks[0].score.get("exact_match"), b.tasks[0].score.get("exact_match"))
        for budget, a, b in first
    ]


def test_one_pair_a_budget():
    cells = [make_cell(10.0 * b, data_budget=b) for b in (2, 4)]
    cells += [make_cell(10.0 * b + 1, data_budget=b, instruction="simplified") for b in (2, 4)]
    pairs = found(cells, "simplified equals original on exact_match within 2")
    assert pairs == [(2, 21.0, 20.0), (4, 41.0, 40.0)]


def test_untuned_against_each_trained_setting():
    cells = [make_cell(5.0, data_budget=0), make_cell(60.0), make_cell(70.0, data_budget=20)]
    assert found(cells, "original exceeds untuned on exact_match by 5") == [(8, 60.0, 5.0), (20, 70.0, 5.0)]


def test_training_variants_are_tested_alike():
    original = block_of(make_cell(60.0), "delusive", 50.0)
    delusive = block_of(make_cell(58.0, tested="original", instruction="delusive"), "delusive", 52.0)
    pairs = found([original, delusive], "delusive equals original on exact_match within 2 at training")
    assert pairs == [(8, 58.0, 60.0)]


def test_test_variants_are_trained_alike():
    original = block_of(make_cell(60.0), "delusive", 50.0)
    delusive = block_of(make_cell(58.0, tested="original", instruction="delusive"), "delusive", 52.0)
    pairs = found([original, delusive], "delusive is lower than original on exact_match at test")
    assert pairs == [(8, 50.0, 60.0)]


def test_at_test_a_trained_model_stands_against_itself_not_the_untuned_one():
    untuned = block_of(make_cell(5.0, data_budget=0), "delusive", 4.0)
    trained = block_of(make_cell(60.0), "delusive", 50.0)
    pairs = found([untuned, trained], "delusive is lower than original on exact_match at test")
    assert pairs == [(0, 4.0, 5.0), (8, 50.0, 60.0)]


def test_a_baseline_is_a_side():
    cells = [make_cell(60.0), make_cell(33.0, model="uniform_guess", data_budget=0, prompt="plain")]
    assert found(cells, "original exceeds uniform_guess on exact_match by 0") == [(8, 60.0, 33.0)]


def test_imported_answers_are_a_side():
    cells = [make_cell(60.0), make_cell(33.0, model="alpaca_7b", data_budget=0, method="imported")]
    assert found(cells, "original exceeds alpaca_7b on exact_match by 0") == [(8, 60.0, 33.0)]
    assert found(cells, "original exceeds untuned on exact_match by 0") == []


def test_a_baseline_is_not_the_untuned_model():
    cells = [make_cell(60.0), make_cell(33.0, model="uniform_guess", data_budget=0)]
    assert found(cells, "original exceeds untuned on exact_match by 0") == []


def test_decodings_are_sides():
    cells = [make_cell(60.0), make_cell(75.0, decoding="constrained")]
    assert found(cells, "constrained exceeds greedy on exact_match by 10") == [(8, 75.0, 60.0)]
