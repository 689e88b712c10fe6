from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.after.prediction_file import COLUMNS, Answer, read_answers
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
        ("{", r"broken JSON at line 1"),
        ([1], r"item 1 is no JSON object, but a number"),
        ({"task": "t", "prediction": "x"}, r"no instance id among the columns task, prediction.*instance_id"),
        ({"task": "t", "id": "1"}, r"no prediction among the columns task, id.*--column prediction=COLUMN"),
        (
            {"id": "1", "prediction": True, "answer": "a"},
            r"row 1: the prediction is true, a truth value; a text",
        ),
        ({"id": "1", "prediction": [["x"]]}, r"the prediction is a list of 1; a text is expected"),
        ({"id": "1", "prediction": ["x", "y"]}, r"row 1: holds 2 different predictions"),
        ({"id": None, "prediction": "x"}, r"row 1: no instance id in the column 'id'"),
        ("", r"holds no predictions"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_answers(write(tmp_path, row))
    assert "\n" not in str(caught.value)


def test_unreadable_files_and_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_answers(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="UTF-8"):
        read_answers(tmp_path / "latin.jsonl")
    with pytest.raises(UserError, match="column 'label'"):
        read_answers(tmp_path / "none.jsonl", {"label": "x"})
    with pytest.raises(UserError, match=r"no column 'sayd'; did you mean 'said'\? There: id, said"):
        read_answers(write(tmp_path, {"id": 1, "said": "x"}), {"prediction": "sayd"})


def test_a_null_prediction_is_no_answer_and_nothing_stands_in(tmp_path: Path) -> None:
    rows = [{"id": 1, "prediction": "x", "answer": "gold"}, {"id": 2, "prediction": None, "answer": "gold"}]
    assert [one.text for one in read_answers(write(tmp_path, *rows))] == ["x", None]
    rows[1]["prediction"] = []
    assert [one.text for one in read_answers(write(tmp_path, *rows))] == ["x", None]
    rows[1].pop("prediction")
    assert [one.text for one in read_answers(write(tmp_path, *rows[::-1]))] == [None, "x"]


@pytest.mark.parametrize(
    ("first", "second", "by_hand"),
    [
        ("answer", "output", "prediction"),
        ("response", "completion", "prediction"),
        ("prediction", "predicted", "prediction"),
        ("id", "uid", "instance"),
        ("task", "task_name", "task"),
        ("gold", "labels", "references"),
    ],
)
def test_ambiguous_columns_are_refused_by_name(tmp_path: Path, first: str, second: str, by_hand: str) -> None:
    row = {"task": "t", "id": "1", "prediction": "x", first: "a", second: "b"}
    if by_hand == "prediction" and first != by_hand:
        del row["prediction"]
    path = write(tmp_path, row)
    with pytest.raises(UserError, match=f"could be {first!r} or {second!r}.*--column {by_hand}={first}"):
        read_answers(path)
    assert len(read_answers(path, {by_hand: second})) == 1
    row[second] = row[first]
    assert len(read_answers(write(tmp_path, row))) == 1, "two columns with the same content are one"


def test_columns_that_differ_in_a_later_row_are_not_the_same(tmp_path: Path) -> None:
    rows = [{"id": 1, "answer": "x", "output": "x"}, {"id": 2, "answer": "x", "output": "y"}]
    with pytest.raises(UserError, match="could be 'answer' or 'output'"):
        read_answers(write(tmp_path, *rows))


def test_ambiguous_references_matter_only_where_they_count(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": 1, "prediction": "x", "gold": "a", "target": "b"})
    assert read_answers(path, own_references=False)[0].references == ()


def test_every_format_and_numbers_as_they_are_spelt(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,prediction\n7,null\n8,\n")
    assert [one.text for one in read_answers(tmp_path / "a.csv")] == ["null", ""]
    (tmp_path / "a.json").write_text('[{"id": 7.0, "prediction": 1.50}]')
    assert read_answers(tmp_path / "a.json") == (Answer(None, "7.0", "1.50"),)
    (tmp_path / "a.out").write_text('\ufeff{"id": 7, "prediction": "x\\ud83d"}\r\n')
    assert read_answers(tmp_path / "a.out") == (Answer(None, "7", "x\ufffd"),)


def test_two_columns_that_come_to_one_name_are_refused_unless_they_hold_the_same(tmp_path: Path) -> None:
    row = {"task": "t1", "id": "7", "prediction": "yes", "Prediction": "no"}
    with pytest.raises(UserError, match="row 2: two columns are called 'prediction' and differ"):
        read_answers(write(tmp_path, {"task": "t1", "id": "6", "prediction": "yes"}, row))
    (answer,) = read_answers(write(tmp_path, row | {"Prediction": "yes"}))
    assert answer.text == "yes"


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: the key 'prediction' stands twice"):
        read_answers(write(tmp_path, '{"task": "t1", "id": "7", "prediction": "yes", "prediction": "no"}'))


def test_names_that_columns_go_by() -> None:
    """Those of common evaluation programs; one taken away would leave a user's file unread."""
    assert {role: [name for line in lines for name in line] for role, lines in COLUMNS.items()} == {
        "task": ["task", "task_name", "task_id", "dataset"],
        "instance": ["instance_id", "instance.id", "id", "example_id", "uid", "idx", "instance"],
        "prediction": [
            "prediction", "pred", "predicted", "predictions", "output_text", "generated_text", "generation",
            "completion", "response", "model_output", "answer", "text", "output",
        ],
        "prompt": ["prompt", "full_prompt", "model_input", "source"],
        "references": [
            "references", "reference", "targets", "target", "gold", "labels", "references.text", "instance.output",
        ],
    }  # fmt: skip
