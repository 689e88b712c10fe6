from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.after.prediction_file import Answer, read_answers
from instruct_ablate.errors import UserError


def write(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize(
    "row",
    [
        {"task": "t1", "instance_id": "7", "prediction": "yes"},
        {"Task": "t1", "Instance": {"id": "7", "output": ["no"]}, "Prediction": "yes"},
        {"task_name": "t1.json", "id": 7, "output": "yes"},
        {"task name": "t1", "Example-ID": "7", "generated_text": ["yes"]},
        {"task": "t1", "id": "7", "response": "yes", "references": ["no"], "output": None},
    ],
)
def test_the_column_names_people_use(tmp_path: Path, row: dict[str, Any]) -> None:
    (answer,) = read_answers(write(tmp_path, row))
    assert (answer.task, answer.instance_id, answer.text) == ("t1", "7", "yes")
    assert answer.references in ((), ("no",))


def test_columns_by_hand_and_odd_content(tmp_path: Path) -> None:
    path = write(tmp_path, "", {"where": "t1", "nr": 0, "said": 3, "prompt": "Say 3."}, "")
    columns = {"task": "where", "instance": "nr", "prediction": "said"}
    assert read_answers(path, columns) == (Answer("t1", "0", "3", "Say 3."),)


def test_a_file_without_tasks_and_an_empty_answer(tmp_path: Path) -> None:
    assert read_answers(write(tmp_path, {"id": "7", "prediction": ""})) == (Answer(None, "7", ""),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"line 1: not JSON"),
        ([1], r"line 1: an object is expected, not list"),
        ({"task": "t", "prediction": "x"}, r"no instance id among the columns task, prediction.*instance_id"),
        ({"task": "t", "id": "1"}, r"no prediction among the columns task, id"),
        ({"id": "1", "prediction": True, "answer": {"a": [1]}}, None),
        ({"id": "1", "prediction": [["x"]]}, r"the prediction is list"),
        ("", r"holds no predictions"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, row: Any, message: str | None) -> None:
    if message is None:
        assert read_answers(write(tmp_path, row))[0].text == "True"
        return
    with pytest.raises(UserError, match=message):
        read_answers(write(tmp_path, row))


def test_unreadable_files_and_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_answers(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="UTF-8"):
        read_answers(tmp_path / "latin.jsonl")
    with pytest.raises(UserError, match="column 'label'"):
        read_answers(tmp_path / "none.jsonl", {"label": "x"})
