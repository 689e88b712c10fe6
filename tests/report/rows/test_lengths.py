"""Captions say what limits on lengths took from the tests and trainings that a table is of."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.prompt.lengths import UNMARKED, cut_targets_note, ended_note, long_references_note
from instruct_ablate.report.figures.paper import main_caption
from instruct_ablate.report.rows.columns import main_columns
from instruct_ablate.report.rows.lengths import lengths_lines
from instruct_ablate.report.rows.seed_means import build_rows
from instruct_ablate.report.tables.terminal_table import caption
from tests.report.cells import make_cell
from tests.report.rows.test_computed import CPU

TODAY = replace(CPU, tails=2)
ENDED = "answers ended at their greatest length"


def noted(cell: CellRecord, *notes: str) -> CellRecord:
    """The cell as a model has computed it, with these notes."""
    return replace(cell, notes=notes, environment=TODAY)


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


def test_a_record_from_before_something_was_noted_is_no_0() -> None:
    """Of three seeds two are early: their answers and targets may have been cut, and nobody noted it."""
    cut, ended = f"training: {cut_targets_note(1, 8, 16)}", f"test, original: {ended_note(6, 24)}"
    early = [
        replace(noted(make_cell(60.0, seed=1)), environment=CPU),
        replace(noted(make_cell(60.0, seed=2), ended), environment=CPU),
    ]
    rows = build_rows([noted(make_cell(60.0, seed=0), f"test, original: {ended_note(3, 24)}", cut), *early])
    for text in (caption(rows), main_caption("study", rows, main_columns(rows))):
        assert f"of a test: {ENDED} 12.5 to 25 % (not noted in 1 of 3 tests)." in text
        assert "targets cut at prompt.max_target_length 12.5 % (not noted in 2 of 3 trainings)." in text
    assert "imits on lengths" not in caption(build_rows(early[:1]))


def test_cut_prompts_were_noted_from_the_first_record_on() -> None:
    prompts = "24 prompts: 6 cut at prompt.max_source_length, 0 with fewer examples than configured"
    early = replace(noted(make_cell(60.0, seed=1)), environment=CPU)
    rows = build_rows([noted(make_cell(60.0), f"test, original: {prompts}"), early])
    assert "of a test: prompts cut at prompt.max_source_length 0 to 25 %." in caption(rows)


def test_trainings_count_once_however_many_tests_there_are() -> None:
    cell = noted(make_cell(60.0), f"training: {cut_targets_note(1, 8, 16)}")
    early = replace(noted(make_cell(60.0, seed=1)), environment=CPU)
    both = [
        replace(one, blocks=(one.blocks[0], replace(one.blocks[0], instruction="delusive")))
        for one in (cell, early)
    ]
    assert "12.5 % (not noted in 1 of 2 trainings)." in caption(build_rows(both))


def test_answers_of_an_earlier_version_bear_no_mark_and_are_no_0() -> None:
    ended = [f"test, original: {ended_note(3, 24)}", f"test, original: {long_references_note(6, 24, 8)}"]
    taken = noted(make_cell(60.0, seed=1), f"test, original: 20 of 24 {UNMARKED}: that is a lower bound")
    told = caption(build_rows([noted(make_cell(60.0), *ended), taken]))
    assert f"{ENDED} 12.5 % (not noted in 1 of 2 tests), instances whose references" in told
    assert "than an answer may be 0 to 25 %." in told
