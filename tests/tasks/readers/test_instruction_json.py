import json
import re

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers.instruction_json import FIELDS, _name

RECORDS = [
    *(
        {"instruction": "Answer yes or no.", "input": f"Question {n}", "output": ("yes", "no")[n % 2]}
        for n in range(6)
    ),
    {"instruction": "Write a haiku.", "input": "", "output": "Old pond"},
    {"instruction": "Name a colour.", "output": "red"},
    {"instruction": "Do nothing.", "output": ""},
]


def read(root, cache, **changes):
    return read_tasks(TasksConfig(reader="instruction_json", root=str(root), **changes), cache)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.json").write_text(json.dumps(RECORDS))
    (tmp_path / "data" / "eval.jsonl").write_text(json.dumps(RECORDS[0]))
    return tmp_path / "data"


def test_one_task_per_instruction(folder, tmp_path):
    collection = read(folder, tmp_path / "cache", train_split="train", test_split="eval.jsonl")
    assert [task.definition for task in collection.train] == [
        "Answer yes or no.",
        "Write a haiku.",
        "Name a colour.",
        "Do nothing.",
    ]
    first = collection.train[0]
    assert first.name.startswith("answer_yes_or_no_")
    assert first.label_space == ("yes", "no")
    assert len(first.instances) == 6
    assert collection.train[2].instances[0].input == ""
    assert [task.definition for task in collection.test] == ["Answer yes or no."]


def test_without_a_test_file_some_instructions_are_held_out(tmp_path):
    records = [{"instruction": f"Do thing {n}.", "output": "x"} for n in range(200)]
    (tmp_path / "all.json").write_text(json.dumps(records))
    collection = read(tmp_path / "all.json", tmp_path / "cache")
    assert 8 <= len(collection.test) <= 35
    assert len(collection.train) + len(collection.test) == 200
    assert not {t.definition for t in collection.train} & {t.definition for t in collection.test}


def test_include(folder, tmp_path):
    collection = read(
        folder, tmp_path / "cache", train_split="train", test_split="eval", include=["answer*", "name*"]
    )
    assert [task.definition for task in collection.train] == ["Answer yes or no.", "Name a colour."]
    given = {"train_split": "train", "test_split": "eval"}
    with pytest.raises(UserError, match=r"tasks\.include: the pattern 'nane\*' matches no task"):
        read(folder, tmp_path / "cache", **given, include=["answer*", "nane*"])


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"output": "x"}, "key 'instruction' is missing, empty or no text; it has output"),
        ({"instruction": " ", "output": "x"}, "key 'instruction' is missing"),
        ({"instruction": 3, "output": "x"}, "key 'instruction' is missing"),
        ({"instruction": "a"}, "'output' is missing or null"),
        ({"instruction": "a", "output": None}, "'output' is missing or null"),
        ({"instruction": "a", "output": True}, "'output' holds true, a truth value, not text"),
        ({"instruction": "a", "output": {"b": 1, "c": 2}}, r"'output' holds an object \(b, c\)"),
        ({"instruction": "a", "output": "x", "input": ["1", "2"]}, "'input' holds a list of 2, not text"),
    ],
)
def test_bad_records_are_named_together(tmp_path, record, why):
    (tmp_path / "d.json").write_text(json.dumps([RECORDS[0], *[record] * 5]))
    with pytest.raises(UserErrors, match=why) as caught:
        read(tmp_path / "d.json", tmp_path / "cache")
    told = str(caught.value)
    assert all(f"record {number}: " in told for number in (2, 3, 4))
    assert "and 2 more such rows" in told
    assert "record 5" not in told


def test_numbers_are_text_and_lists_are_several_references(tmp_path):
    records = '[{"instruction": "a", "output": 1.50}, {"instruction": "a", "output": ["x", {"text": "y"}]}]'
    (tmp_path / "d.json").write_text(records)
    collection = read(tmp_path / "d.json", tmp_path / "cache", test_split="d")
    assert [one.references for one in collection.test[0].instances] == [("1.50",), ("x", "y")]


def test_missing_files(folder, tmp_path):
    with pytest.raises(UserError, match=r"no file 'evil'; there: eval\.jsonl, train\.json"):
        read(folder, tmp_path, test_split="evil")
    with pytest.raises(UserError, match="no such file or folder"):
        read(tmp_path / "absent.json", tmp_path)
    with pytest.raises(UserError, match=r"tasks\.root is needed"):
        read_tasks(TasksConfig(reader="instruction_json"), tmp_path)


def test_records_have_no_ids_and_that_is_nothing_to_note(folder, tmp_path):
    collection = read(folder, tmp_path / "cache", train_split="train", test_split="eval")
    assert len({one.id for one in collection.train[0].instances}) == 6
    assert not [note for note in collection.notes if "id" in note.split()]


def test_which_instructions_are_held_out_is_fixed_for_good(tmp_path):
    records = [{"instruction": f"Do thing {n}.", "output": "x"} for n in range(60)]
    (tmp_path / "all.json").write_text(json.dumps(records))
    held_out = [task.definition for task in read(tmp_path / "all.json", tmp_path / "cache").test]
    assert held_out == [f"Do thing {n}." for n in (1, 2, 28, 32, 33, 47, 48, 53)]


def test_the_keys_that_select_are_all_used(folder, tmp_path):
    config = {"train_split": "train", "test_split": "eval", "test_tasks": 1, "test_instances": 1}
    (tmp_path / "spaces.yaml").write_text("{}")
    one = read(
        folder,
        tmp_path / "cache",
        **config,
        categories=["Instructions"],
        label_spaces=str(tmp_path / "spaces.yaml"),
    )
    assert [len(task.instances) for task in one.test] == [1]
    assert len(one.train) == 4
    few = read(folder, tmp_path / "cache", **config, train_include=["write*"], test_include=["answer*"])
    assert [task.definition for task in few.train] == ["Write a haiku."]
    same = read(
        folder,
        tmp_path / "cache",
        **config,
        train_categories=["Instructions"],
        test_categories=["Instructions"],
    )
    assert len(same.train) == 4


def test_a_task_is_called_by_its_instruction():
    assert re.fullmatch("write_a_poem_on_one_line_[0-9a-f]{8}", _name("Write: a poem, on ONE line!"))
    assert re.fullmatch("x{40}_[0-9a-f]{8}", _name(50 * "x"))
    assert re.fullmatch("x{39}_[0-9a-f]{8}", _name(39 * "x" + " y"))


def test_keys_that_it_reads():
    """Any other key of the group is refused, so one that falls out here is lost to users."""
    assert {
        "root",
        "include",
        "train_split",
        "test_split",
        "test_tasks",
        "test_instances",
        "validation",
        "label_spaces",
        "categories",
        "train_categories",
        "train_include",
        "test_categories",
        "test_include",
    } == FIELDS
