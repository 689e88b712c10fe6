from __future__ import annotations

import json
from dataclasses import replace

import pytest

from instruct_ablate.cell.state.record.record import (
    RECORD_VERSION,
    BlockKey,
    CellRecord,
    Environment,
    Failure,
    ScoreBlock,
)
from instruct_ablate.cell.state.record.record_file import (
    CorruptRecordError,
    OtherFormatError,
    loaded,
    parse_record,
    sealed,
    to_json,
)
from instruct_ablate.cell.state.setting.setting import make_setting
from instruct_ablate.metrics import Score, TaskScore
from tests.standins import make_scores

SETTING = make_setting(
    {"model": "tiny_llama", "data_budget": 8, "trainer.learning_rate": 1e-4, "data.packing": True,
     "trainer.max_steps": None, "tasks.include": ("a", "b"), "tasks.labels": ()},
    {"tasks": "ab" * 32},
    tuned=True,
)  # fmt: skip


def make_record() -> CellRecord:
    score = Score("task1", 3, (("exact_match", 33.3), ("length", 2.0)))
    scores = replace(make_scores(), tasks=(TaskScore("generation", "Poetry", score),))
    environment = Environment("host", "train.py", None, "3.11", (("torch", "2.13"),), "cpu", "bf16")
    blocks = (ScoreBlock("simplified", "predictions/simplified.jsonl", scores),)
    return CellRecord(
        "ab" * 32, "tiny-1", SETTING, 3, "done", blocks, environment=environment, notes=("a", "ü")
    )


def test_a_block_says_what_it_was_tested_with_also_one_written_before() -> None:
    (block,) = make_record().blocks
    keyed = replace(make_record(), blocks=(replace(block, key=BlockKey("simplified", "alpaca", 0.5)),))
    assert parse_record(to_json(keyed)) == keyed
    earlier = json.loads(to_json(keyed))
    del earlier["blocks"][0]["key"]
    assert parse_record(json.dumps(earlier)).blocks[0].key == BlockKey("simplified", "", 1.0)


def test_a_record_comes_back_as_it_was() -> None:
    record = make_record()
    assert parse_record(to_json(record)) == record


def test_settings_that_are_alike_are_one_and_those_that_only_look_so_are_not() -> None:
    def read(value: object) -> object:
        tree = json.loads(to_json(make_record()))
        tree["setting"]["values"] = [["trainer.max_steps", value]]
        return parse_record(json.dumps(tree)).setting

    assert read(1) is read(1)
    kinds = [type(read(value).get("trainer.max_steps")) for value in (1, 1.0, True, "1")]  # type: ignore[attr-defined]
    assert kinds == [int, float, bool, str]


def test_a_failed_record_comes_back() -> None:
    record = CellRecord("ab", "tiny", SETTING, 0, "failed", failure=Failure("it broke", "Traceback\n", 2))
    assert parse_record(to_json(record)) == record


def test_missing_optional_fields_take_their_defaults() -> None:
    record = CellRecord("ab", "tiny", SETTING, 0, "missing")
    tree = json.loads(to_json(record))
    del tree["notes"], tree["cost"]
    assert parse_record(json.dumps(tree)) == record


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"identity": 3}', '{"identity": "a"}', "\x00\x00"])
def test_what_is_no_record_is_corrupt(text: str) -> None:
    with pytest.raises((CorruptRecordError, OtherFormatError)):
        parse_record(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", "finished"), ("blocks", {}), ("setting", None), ("started", "x"), ("extra", 1), ("seed", "0")],
)
def test_a_field_of_the_wrong_type_is_corrupt(key: str, value: object) -> None:
    tree = {**json.loads(to_json(make_record())), key: value}
    with pytest.raises((CorruptRecordError, OtherFormatError)):
        parse_record(json.dumps(tree))


def test_every_cut_of_a_record_is_corrupt() -> None:
    text = to_json(make_record())
    for length in range(0, len(text) - 1, 97):
        with pytest.raises((CorruptRecordError, OtherFormatError)):
            parse_record(text[:length])


def test_values_come_back_as_what_they_were() -> None:
    setting = parse_record(to_json(make_record())).setting
    assert (setting.get("data.packing"), setting.get("trainer.max_steps")) == (True, None)
    assert (setting.get("tasks.include"), setting.get("trainer.learning_rate")) == (("a", "b"), 1e-4)
    assert setting.tuned


@pytest.mark.parametrize("changes", [{"version": 3}, {"version": 99, "weather": "fine"}, {"format": 2}])
def test_what_a_newer_version_wrote_is_of_another_format_and_not_corrupt(changes: dict[str, object]) -> None:
    tree = {**json.loads(to_json(make_record())), **changes}
    with pytest.raises(OtherFormatError, match="by a newer version"):
        parse_record(json.dumps(tree))


def test_a_sealed_record_tells_every_flipped_bit() -> None:
    text = sealed(to_json(make_record()))
    assert parse_record(text) == make_record()
    for place in range(0, len(text), 7):
        flipped = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises((CorruptRecordError, OtherFormatError)):
            parse_record(flipped)


def test_a_record_without_a_seal_and_one_written_by_hand_are_read() -> None:
    assert parse_record(to_json(make_record())) == make_record()
    assert parse_record(json.dumps(json.loads(sealed(to_json(make_record()))))) == make_record()


@pytest.mark.parametrize(
    ("key", "value"),
    [("started", 1e15), ("started", -1e15), ("started", 3), ("seed", 10**15), ("seed", -(10**15))],
)
def test_numbers_as_large_as_may_be(key: str, value: float) -> None:
    tree = {**json.loads(to_json(make_record())), key: value}
    assert getattr(parse_record(json.dumps(tree)), key) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [("started", 1.1e15), ("started", float("inf")), ("started", float("nan")), ("started", True),
     ("seed", 10**15 + 1), ("seed", 1.0)],
)  # fmt: skip
def test_numbers_that_cannot_be(key: str, value: float) -> None:
    tree = {**json.loads(to_json(make_record())), key: value}
    with pytest.raises(CorruptRecordError):
        parse_record(json.dumps(tree))


@pytest.mark.parametrize("value", [10**400, -(10**16), float("inf"), float("nan")])
def test_numbers_of_a_setting_that_cannot_be(value: float) -> None:
    setting = make_setting({"model": "tiny_llama", "trainer.learning_rate": value}, {})
    with pytest.raises(CorruptRecordError):
        parse_record(to_json(replace(make_record(), setting=setting)))


def test_half_a_surrogate_pair_comes_back_in_a_sealed_record() -> None:
    record = replace(make_record(), notes=("a \ud800", "ü"))
    text = sealed(to_json(record))
    assert parse_record(text.encode().decode()) == record


def test_what_says_no_version_is_of_the_first() -> None:
    assert loaded('{"a": 1}') == {"a": 1}
    for text in ('{"format": 2}', json.dumps({"version": RECORD_VERSION + 1})):
        with pytest.raises(OtherFormatError):
            loaded(text)
    assert loaded('{"format": 1}') == {"format": 1}
    assert loaded(json.dumps({"version": RECORD_VERSION})) == {"version": RECORD_VERSION}
