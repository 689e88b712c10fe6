import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers.natural_instructions import FIELDS, open_source
from tests.tasks.layout import write_collection


@pytest.fixture
def root(tmp_path):
    train = {"task1_a": {}, "task2_b": {"Categories": ["Translation"]}}
    return write_collection(tmp_path / "ni", train, {"task3_c": {}})


def config(root, **changes):
    return TasksConfig(reader="natural_instructions", root=str(root), **changes)


def test_splits_and_order(root, tmp_path):
    source = open_source(config(root), tmp_path)
    parsed = [(item.task.name, item.test) for item in source.parse()]
    assert parsed == [("task1_a", False), ("task2_b", False), ("task3_c", True)]
    assert len(source.files) == 5


def test_include_by_globs(root, tmp_path):
    source = open_source(config(root, include=["task2_*", "task3_c"]), tmp_path)
    assert [item.task.name for item in source.parse()] == ["task2_b", "task3_c"]
    with pytest.raises(UserErrors, match=r"'task9\*' matches no task"):
        open_source(config(root, include=["task9*"]), tmp_path)


def test_a_task_of_the_split_without_file_names_the_nearest(root, tmp_path):
    lists = root / "splits" / "default"
    (lists / "test_tasks.txt").write_text("task3_cc\ntask4_zebra\n")
    with pytest.raises(UserErrors) as caught:
        open_source(config(root), tmp_path)
    first, second = caught.value.faults
    assert "test_tasks.txt" in first
    assert "task3_cc.json" in first
    assert "did you mean 'task3_c'" in first
    assert "task4_zebra" in second


def test_many_missing_files_are_cut_short(root, tmp_path):
    (root / "splits/default/train_tasks.txt").write_text("".join(f"absent{n}\n" for n in range(50)))
    with pytest.raises(UserErrors) as caught:
        open_source(config(root), tmp_path)
    assert len(caught.value.faults) == 21
    assert "and 30 more" in caught.value.faults[-1]


def test_split_lists(root, tmp_path):
    with pytest.raises(UserError, match=r"unknown tasks.split 'defualt'; did you mean 'default'"):
        open_source(config(root, split="defualt"), tmp_path)
    (root / "splits/default/train_tasks.txt").unlink()
    with pytest.raises(UserError, match=r"the split list .*train_tasks\.txt: no such file"):
        open_source(config(root), tmp_path)


def test_a_task_in_both_lists_is_tested_only(root, tmp_path):
    (root / "splits/default/train_tasks.txt").write_text("task1_a\n\ntask3_c\n")
    source = open_source(config(root), tmp_path)
    assert [(i.task.name, i.test) for i in source.parse()] == [("task1_a", False), ("task3_c", True)]
    assert "task3_c" in source.notes[0]


def test_a_folder_of_another_layout(tmp_path):
    with pytest.raises(UserError, match=r"tasks/ .* splits/"):
        open_source(config(tmp_path), tmp_path)


def test_all_real_files_parse(shared, tmp_path):
    collection = read_tasks(config(shared / "natural-instructions"), tmp_path)
    assert (len(collection.train), len(collection.test)) == (757, 119)
    assert sum(len(task.instances) for task in collection.test) == 11810
    without = [task.name for task in (*collection.train, *collection.test) if not task.positive_examples]
    assert sorted(name[:7] for name in without) == ["task001", "task025", "task061", "task469"]
    assert len({task.category for task in collection.test}) == 12


def test_keys_that_it_reads():
    """Any other key of the group is refused, so one that falls out here is lost to users."""
    assert {
        "root",
        "split",
        "language",
        "categories",
        "include",
        "test_subset",
        "test_tasks",
        "test_instances",
        "validation",
        "train_on",
        "label_spaces",
        "train_categories",
        "train_include",
        "test_categories",
        "test_include",
    } == FIELDS


@pytest.mark.parametrize(("absent", "told"), [(20, 20), (21, 21), (22, 21)])
def test_twenty_missing_files_are_named(root, tmp_path, absent, told):
    (root / "splits/default/train_tasks.txt").write_text("".join(f"absent{n}\n" for n in range(absent)))
    with pytest.raises(UserErrors) as caught:
        open_source(config(root), tmp_path)
    assert len(caught.value.faults) == told
    assert ("more. Give a complete copy" in caught.value.faults[-1]) is (absent > 20)
