"""The record: what a block and a cell say unless they say otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.record import (
    FORMAT,
    GENERAL,
    PREDICTION,
    RECORD_VERSION,
    SCORING,
    TRAINING,
    BlockKey,
    CellRecord,
    Failure,
    ScoreBlock,
    Selected,
    scored_with,
)
from instruct_ablate.cell.state.setting.setting import make_setting
from instruct_ablate.scores import MetricDescription
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
    assert left_out(Failure) == {"attempts": 1, "lasting": False}
    assert left_out(BlockKey) == {"share": 1.0}
    assert left_out(ScoreBlock) == {"scoring": 0}
    assert left_out(CellRecord) == {"started": 0.0, "finished": 0.0, "version": 2}


def test_weights_of_an_earlier_step_have_their_own_score_and_need_not_have_stopped_the_training():
    chosen = Selected("generation_rougeL", 2, 4, 4, ((2, 7.5), (3, 9.0), (4, 7.0)))
    assert (chosen.score, chosen.metric, chosen.stopped) == (7.5, "rougeL", False)
    assert Selected("classification_exact_match", 2, 2, 4, ((2, 7.5),)).metric == "exact_match"


def test_scores_by_earlier_rules_are_told_from_todays_and_from_those_of_no_number():
    block = ScoreBlock("original", "p", make_scores())
    by = {number: replace(block, scoring=number).by_earlier_rules for number in (0, 1, SCORING)}
    assert by == {0: False, 1: True, SCORING: False}


def test_by_what_scores_are_made():
    own = MetricDescription("own", "own", code="0123456789")
    rules = ("scoring rules", "version 3")
    assert scored_with(3, [own]) == (rules, ("file of metric own", "01234567"))
    assert scored_with(0, [replace(own, code="")]) == ()


def test_a_block_is_called_by_its_template_where_one_of_its_cells_tests_has_several():
    def block(instruction: str, template: str) -> ScoreBlock:
        return ScoreBlock(instruction, "p", make_scores(), key=BlockKey(instruction, template))

    blocks = (block("original", "a"), block("original", "b"), block("delusive", "a"))
    general = block(GENERAL, "a")
    record = CellRecord("ab", "tiny", make_setting({}, {}), 0, "done", blocks, general=general)
    assert record.tests == (blocks[:2], blocks[2:])
    assert [record.test_name(one) for one in record.every_block] == [
        "original, a",
        "original, b",
        "delusive, a",
        GENERAL,
    ]
    single = replace(record, blocks=blocks[1:], general=None)
    assert [single.test_name(one) for one in single.every_block] == ["original", "delusive"]
