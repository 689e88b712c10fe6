import json

import pytest

from instruct_ablate.tasks.intake.source import Fault, Parsed
from instruct_ablate.tasks.intake.task_file import read_task_file
from instruct_ablate.tasks.task import Example
from tests.tasks.layout import write_task


def parse(tmp_path, **changes):
    parsed = read_task_file(write_task(tmp_path / "task1_x.json", **changes), test=False)
    assert isinstance(parsed, Parsed), parsed
    return parsed


def fault(path):
    found = read_task_file(path, test=False)
    assert isinstance(found, Fault)
    assert str(path) in found.message
    return found.message


def test_reads_a_plain_file(tmp_path):
    parsed = parse(tmp_path)
    task = parsed.task
    assert (task.name, task.definition, task.category) == (
        "task1_x",
        "Answer 'yes' or 'no'.",
        "Question Answering",
    )
    assert task.label_space == ("yes", "no")
    assert task.kind == "classification"
    assert task.instances[1].references == ("no",)
    assert task.positive_examples == (Example("Is ice cold?", "yes", "It is."),)
    assert parsed.languages == (("English",),) * 3
    assert parsed.notes == ()


def test_definition_as_text_or_list_of_which_the_first_counts(tmp_path):
    assert parse(tmp_path, Definition="One.").task.definition == "One."
    assert parse(tmp_path, Definition=["One.", "Two."]).task.definition == "One."


def test_output_as_text_list_number_or_empty_text(tmp_path):
    outputs = ["a", ["a", "b"], 3, [""]]
    parsed = parse(
        tmp_path, Instances=[{"id": str(i), "input": "x", "output": o} for i, o in enumerate(outputs)]
    )
    assert [i.references for i in parsed.task.instances] == [("a",), ("a", "b"), ("3",), ("",)]
    assert parsed.notes == ("task1_x: number taken as text",)


def test_missing_explanation_negative_examples_and_categories(tmp_path):
    changes = {
        "Positive Examples": [{"input": "a", "output": ["b"]}],
        "Negative Examples": ...,
        "Categories": ...,
    }
    parsed = parse(tmp_path, **changes)
    assert parsed.task.positive_examples == (Example("a", "b", ""),)
    assert parsed.task.negative_examples == ()
    assert parsed.task.category == "Uncategorised"
    assert parsed.notes == ("task1_x: no negative examples", "task1_x: no category")


def test_old_placeholder_for_examples(tmp_path):
    parsed = parse(tmp_path, **{"Negative Examples": ["-"]})
    assert parsed.task.negative_examples == ()
    assert "task1_x: incomplete item of 'Negative Examples' left out" in parsed.notes


def test_ids_missing_or_repeated_are_made_unique(tmp_path):
    items = [{"id": i, "input": "x", "output": "y"} for i in ("a", "a", "", None)]
    parsed = parse(tmp_path, Instances=items)
    assert [i.id for i in parsed.task.instances] == ["a", "a#2", "task1_x-2", "task1_x-3"]
    assert parsed.notes == (
        "task1_x: repeated instance id numbered",
        "task1_x: instance without id numbered (2)",
    )


def test_instances_that_lack_something_are_left_out_and_counted(tmp_path):
    items = [
        {"id": "a", "input": "x", "output": "y"},
        {"id": "b", "output": "y"},
        {"input": "x", "output": []},
        5,
    ]
    parsed = parse(tmp_path, Instances=items)
    assert len(parsed.task.instances) == 1
    assert parsed.notes == (
        "task1_x: instance without input left out (2)",
        "task1_x: instance without output left out",
    )


def test_unicode_byte_order_mark_and_half_surrogates(tmp_path):
    path = write_task(
        tmp_path / "t.json", Instances=[{"id": "a", "input": "Zürich 東京", "output": "x\ud83d"}]
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    parsed = read_task_file(path, test=True)
    assert isinstance(parsed, Parsed)
    assert parsed.test
    assert parsed.task.instances[0].input == "Zürich 東京"
    assert parsed.task.instances[0].references == ("x\ufffd",)
    assert parsed.notes == ("t: broken Unicode replaced",)


@pytest.mark.parametrize("key", ["Instances", "Definition"])
@pytest.mark.parametrize("value", [..., [], "", [""], None])
def test_a_task_without_instances_or_definition(tmp_path, key, value):
    message = fault(write_task(tmp_path / "t.json", **{key: value}))
    assert f"'{key}'" in message or "'input' is missing" in message


def test_a_task_without_outputs(tmp_path):
    message = fault(write_task(tmp_path / "t.json", Instances=[{"id": "a", "input": "x"}]))
    assert "'output'" in message


def test_files_missing_unreadable_or_broken(tmp_path):
    assert "no such file" in fault(tmp_path / "absent.json")
    (tmp_path / "folder.json").mkdir()
    assert "cannot be read" in fault(tmp_path / "folder.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"Definition": [\n "x",,]}')
    assert "broken JSON at line 2, column 6" in fault(broken)
    broken.write_bytes(b'{"a": "\xff"}')
    assert "not UTF-8 (byte 7): save it as UTF-8" in fault(broken)
    broken.write_text(json.dumps([1]))
    assert "no JSON object" in fault(broken)
