"""Captions say what limits on lengths took from the tests and trainings that a table is of."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.prompt.lengths import cut_targets_note, ended_note
from instruct_ablate.report.figures.paper import main_caption
from instruct_ablate.report.rows.columns import main_columns
from instruct_ablate.report.rows.lengths import lengths_lines
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.terminal_table import caption
from tests.report.cells import make_cell
from tests.report.rows.test_computed import CPU

ENDED = "answers ended at their greatest length"


def noted(cell: CellRecord, *notes: str) -> CellRecord:
    """The cell as a model has computed it, with these notes."""
    return replace(cell, notes=notes, environment=CPU)


def test_captions_say_what_limits_took_from_the_least_to_the_most() -> None:
    cells = [
        noted(make_cell(0.0, data_budget=0), f"test, original: {ended_note(48, 48)}"),
        noted(
            make_cell(60.0, seed=0),
            f"test, original: {ended_note(1, 24)}",
            f"training: {cut_targets_note(1, 8, 16)}",
        ),
        noted(make_cell(60.0, seed=1)),
    ]
    rows = build_rows(cells)
    said = f"imits on lengths, of a test: {ENDED} 0 to 100 %."
    trained = "imits on lengths, of a cell's training: targets cut at prompt.max_target_length 0 to 12.5 %."
    for text in (caption(rows), main_caption("study", rows, main_columns(rows))):
        assert said in text
        assert trained in text


def test_nothing_is_said_where_no_limit_took_anything_that_a_percentage_shows() -> None:
    cells = [
        noted(make_cell(60.0), f"test, original: {ended_note(1, 10_000)}"),
        noted(make_cell(50.0, seed=1)),
    ]
    assert "imits on lengths" not in caption(build_rows(cells))
    assert [*lengths_lines([], [])] == []


def test_only_tests_of_a_model_count() -> None:
    """Predictions made elsewhere bear no mark, and a baseline has no prompt: neither is a 0."""
    cells = [
        noted(make_cell(60.0), f"test, original: {ended_note(6, 24)}"),
        make_cell(45.0, model="uniform_guess", **{"model.kind": "uniform_guess"}),
        replace(noted(make_cell(50.0, instruction="simplified")), state="failed"),
    ]
    assert f"{ENDED} 25 %" in caption(build_rows(cells))


def test_each_test_instruction_has_its_own() -> None:
    cell = noted(
        make_cell(60.0), f"test, original: {ended_note(1, 4)}", f"test, delusive: {ended_note(3, 4)}"
    )
    (block,) = cell.blocks
    both = replace(cell, blocks=(block, replace(block, instruction="delusive")))
    shares = {row.tested: row.lengths for row in build_rows([both])}
    assert shares == {"original": (((ENDED, 25.0),),), "delusive": (((ENDED, 75.0),),)}
