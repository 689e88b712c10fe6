from __future__ import annotations

import json
from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record import Axes, CellRecord, Environment, Failure, ScoreBlock
from instruct_ablate.cell.state.record_file import CorruptRecordError, parse_record, to_json
from instruct_ablate.metrics import Score, TaskScore
from tests.standins import make_scores

AXES = Axes("starter", "simplified", 2, 8, None, "tiny_llama", "full", "tk_instruct", "greedy", 0)


def make_record() -> CellRecord:
    score = Score("task1", 3, (("exact_match", 33.3), ("length", 2.0)))
    scores = replace(make_scores(), tasks=(TaskScore("generation", "Poetry", score),))
    environment = Environment("host", "train.py", None, "3.11", (("torch", "2.13"),), "cpu", "bf16")
    blocks = (ScoreBlock("simplified", "predictions/simplified.jsonl", scores),)
    return CellRecord("ab" * 32, "tiny-1", AXES, "done", blocks, environment=environment, notes=("a", "ü"))


def test_a_record_comes_back_as_it_was() -> None:
    record = make_record()
    assert parse_record(to_json(record)) == record


def test_a_failed_record_comes_back() -> None:
    record = CellRecord("ab", "tiny", AXES, "failed", failure=Failure("it broke", "Traceback\n", 2))
    assert parse_record(to_json(record)) == record


def test_missing_optional_fields_take_their_defaults() -> None:
    record = CellRecord("ab", "tiny", AXES, "missing")
    tree = json.loads(to_json(record))
    del tree["notes"], tree["cost"]
    assert parse_record(json.dumps(tree)) == record


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"identity": 3}', '{"identity": "a"}', "\x00\x00"])
def test_what_is_no_record_is_corrupt(text: str) -> None:
    with pytest.raises(CorruptRecordError):
        parse_record(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", "finished"), ("blocks", {}), ("axes", None), ("started", "x"), ("format", 99), ("extra", 1)],
)
def test_a_field_of_the_wrong_type_is_corrupt(key: str, value: object) -> None:
    tree = {**json.loads(to_json(make_record())), key: value}
    with pytest.raises(CorruptRecordError):
        parse_record(json.dumps(tree))


def test_every_cut_of_a_record_is_corrupt() -> None:
    text = to_json(make_record())
    for length in range(0, len(text) - 1, 97):
        with pytest.raises(CorruptRecordError):
            parse_record(text[:length])
