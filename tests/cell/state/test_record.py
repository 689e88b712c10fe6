"""The record: what a block and a cell say unless they say otherwise."""

from __future__ import annotations

import pytest

from instruct_ablate.cell.state.record import (
    FORMAT,
    PREDICTION,
    RECORD_VERSION,
    TRAINING,
    BlockKey,
    CellRecord,
    Failure,
    ScoreBlock,
    Selected,
)
from instruct_ablate.cell.state.setting import make_setting
from tests.left_out import left_out
from tests.standins import make_scores


def test_a_block_that_was_written_before_it_had_a_key_was_tested_on_its_instruction():
    fields = {"instruction": "simplified", "predictions": "p"}
    assert ScoreBlock.brought_up(fields) == {**fields, "key": {"test_instruction": "simplified"}}
    keyed = {**fields, "key": {"test_instruction": "delusive", "template": "alpaca"}}
    assert ScoreBlock.brought_up(keyed) == keyed


def test_what_a_block_does_not_say():
    block = ScoreBlock("original", "p", make_scores())
    assert block.key == BlockKey("", "", 1.0), "all of the training was done"
    assert block.scoring == 0, "scored before scorings had a number: not by today's"
    assert (block.instances, block.sha256, block.metrics) == ("", "", ())


def test_what_a_record_does_not_say():
    record = CellRecord("ab", "tiny", make_setting({}, {}), 0, "missing")
    assert record.version == RECORD_VERSION
    assert (record.started, record.finished, record.data_hash) == (0.0, 0.0, "")
    assert (record.environment, record.failure) == (None, None)
    assert Failure("it broke", "").attempts == 1


@pytest.mark.parametrize("numbers", [(3, 3, 4), (2, 1, 4), (2, 5, 4), (-1, 3, 4), (0, 0, 0)])
def test_weights_that_cannot_have_been_chosen_are_no_record(numbers):
    assert Selected("rougeL", 2, 3, 4, ((2, 7.5),)).stopped
    with pytest.raises(ValueError, match="cannot have been chosen"):
        Selected("rougeL", *numbers, scores=((2, 7.5), (-1, 1.0), (0, 1.0)))


def test_numbers_that_are_hashed_into_identities_stay():
    assert (FORMAT, TRAINING, PREDICTION) == (1, 1, 1), "another number re-runs every finished study"


def test_what_is_left_out():
    assert left_out(Failure) == {"attempts": 1}
    assert left_out(BlockKey) == {"share": 1.0}
    assert left_out(ScoreBlock) == {"scoring": 0}
    assert left_out(CellRecord) == {"started": 0.0, "finished": 0.0, "version": 2}
