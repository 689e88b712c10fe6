import json

import pytest

from instruct_ablate.cell.state.record.predictions import from_line
from instruct_ablate.cell.state.record.record_file import CorruptRecordError, loaded
from instruct_ablate.disk.json_objects import DoubleKeyError, load_json
from instruct_ablate.disk.learning_curve import read_curve


def test_json_is_read_as_ever():
    assert load_json('{"a": [1, {"b": null}], "c": {}}') == {"a": [1, {"b": None}], "c": {}}
    assert load_json(b"[]") == []


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud800", "b": 1e3, "c": NaN}', b'\xef\xbb\xbf{"a": 1}',
        '{"a": "\u00e4"}'.encode("utf-16"), b'"\xed\xa0\x80"', b'{"a": "\xed\xa0\x80"}',
        "\ufeff[]", "", b"", "[1] 2", '{"a"', b"\xff\xfe\xfd", '"\x00"',
    ],
)  # fmt: skip
def test_texts_and_bytes_are_read_or_refused_as_the_library_does(text):
    def outcome(read):
        try:
            return repr(read(text))
        except ValueError as error:
            return type(error), str(error)

    assert outcome(load_json) == outcome(json.loads)


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '[{"b": {"c": 1, "a": 2, "a": 3, "c": 4}}]', '{"a": 1, "\\u0061": 2}']
)
def test_a_key_that_stands_twice_is_refused_and_named(text):
    with pytest.raises(DoubleKeyError, match="the key 'a' stands twice in one object"):
        load_json(text)


def test_what_a_study_holds_is_read_so(tmp_path):
    with pytest.raises(CorruptRecordError, match="'seed' stands twice"):
        loaded('{"seed": 1, "seed": 2}')
    with pytest.raises(ValueError, match="'prediction' stands twice"):
        from_line('{"prediction": "a", "prediction": "b"}')
    (tmp_path / "training.jsonl").write_text('{"step": 1, "loss": 2, "loss": 1}\n{"step": 2, "loss": 1.5}\n')
    assert [row["step"] for row in read_curve(tmp_path / "training.jsonl")] == [2]
