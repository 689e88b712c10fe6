import os
from dataclasses import replace

import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import collection as collection_module
from instruct_ablate.tasks.collection import MOST_HELD, READERS, check, find_reader, read_tasks, reader
from instruct_ablate.tasks.task import TaskCollection
from tests.conftest import make_task
from tests.tasks.layout import write_collection, write_task


@pytest.fixture
def root(tmp_path):
    return write_collection(tmp_path / "ni", {"task1_a": {}, "task2_b": {}}, {"task3_c": {}, "task4_d": {}})


def config(root, **changes):
    return TasksConfig(reader="natural_instructions", root=str(root), **changes)


def test_reads_train_and_test_with_notes(root, tmp_path):
    write_task(root / "tasks/task1_a.json", **{"Negative Examples": []})
    collection = read_tasks(config(root, test_instances=3), tmp_path / "cache")
    assert [task.name for task in collection.train] == ["task1_a", "task2_b"]
    assert [[i.id for i in task.instances] for task in collection.test] == [["i0", "i1", "i2"]] * 2
    assert len(collection.train[0].instances) == 8
    assert collection.notes == ("task1_a: no negative examples",)


def test_a_second_read_is_equal_and_parses_nothing(root, tmp_path, monkeypatch):
    first = read_tasks(config(root), tmp_path / "cache")
    monkeypatch.setattr("instruct_ablate.tasks.readers.natural_instructions.read_task_file", None)
    assert read_tasks(config(root), tmp_path / "cache") == first


def test_the_content_hash_follows_what_is_used(root, tmp_path):
    def hashed(**changes):
        return read_tasks(config(root, **changes), tmp_path / "cache").content_hash

    whole = hashed()
    assert hashed(test_instances=8) == whole, "the same instances"
    assert (
        len({whole, hashed(test_instances=3), hashed(test_tasks=1), hashed(include=["*a", "*c", "*d"])}) == 4
    )
    spaces = tmp_path / "spaces.yaml"
    spaces.write_text("task1_a: null")
    assert hashed(label_spaces=str(spaces)) != whole
    again = root / "tasks" / "task1_a.json"
    os.utime(again, (1, 1))
    assert hashed() == whole, "a touched file is the same content"
    write_task(again, Definition="Another.")
    assert hashed() != whole


def test_the_content_hash_does_not_depend_on_place_or_order(root, tmp_path):
    here = read_tasks(config(root), tmp_path / "cache").content_hash
    moved = root.rename(tmp_path / "elsewhere")
    (moved / "splits/default/train_tasks.txt").write_text("task2_b\ntask1_a\n")
    assert read_tasks(config(moved), tmp_path / "other").content_hash == here


def test_rows_in_another_order_are_other_content_for_ids_of_doubled_rows_go_by_their_place(root, tmp_path):
    rows = [{"id": "a", "input": f"Question {n}?", "output": ["yes"]} for n in range(3)]
    read = []
    for given in (rows, rows[::-1]):
        write_task(root / "tasks" / "task3_c.json", Instances=given)
        read.append(read_tasks(config(root), tmp_path / "cache"))
    ids = [{one.input: one.id for one in each.test[0].instances} for each in read]
    assert [*ids[0].values()] == ["a", "a#2", "a#3"]
    assert ids[1]["Question 0?"] == "a#3"
    assert read[0].content_hash != read[1].content_hash


def test_all_faults_are_told_at_once(root, tmp_path):
    write_task(root / "tasks/task1_a.json", Instances=[])
    write_task(root / "tasks/task2_b.json", Definition="")
    (root / "tasks/task3_c.json").write_text("{")
    with pytest.raises(UserErrors) as caught:
        read_tasks(config(root), tmp_path / "cache")
    told = [
        next(name for name in ("task1_a", "task2_b", "task3_c") if name in f) for f in caught.value.faults
    ]
    assert told == ["task1_a", "task2_b", "task3_c"]
    for name in told:
        write_task(root / "tasks" / f"{name}.json")
    assert len(read_tasks(config(root), tmp_path / "cache").train) == 2, "mended files are read again"


def test_own_label_spaces(root, tmp_path):
    spaces = tmp_path / "spaces.yaml"
    spaces.write_text('task1_a: ["yes", "no", "maybe"]\ntask3_c: null\n')
    collection = read_tasks(config(root, label_spaces=str(spaces)), tmp_path / "cache")
    assert collection.train[0].label_space == ("yes", "no", "maybe")
    assert collection.test[0].kind == "generation"
    spaces.write_text("task9_a: null\n")
    with pytest.raises(UserErrors, match=r"no task 'task9_a'; did you mean 'task1_a'"):
        read_tasks(config(root, label_spaces=str(spaces)), tmp_path / "cache")


def test_keys_that_the_reader_ignores_are_refused_together():
    wrong = TasksConfig(reader="starter", root="here", labels=["a"], language="French")
    with pytest.raises(UserErrors) as caught:
        check(wrong)
    keys = [fault.split(" ")[0] for fault in caught.value.faults]
    assert keys == ["tasks.root", "tasks.language", "tasks.labels"]
    assert "It uses: categories, include" in caught.value.faults[0]


def test_every_reader_may_be_given_a_name():
    for name in READERS:
        check(TasksConfig(reader=name, name="mine"))


def test_unknown_reader():
    with pytest.raises(UserError, match=r"unknown tasks\.reader 'startr'; did you mean 'starter'"):
        read_tasks(TasksConfig(reader="startr"))


@pytest.mark.parametrize("name", READERS)
def test_every_reader_declares_keys_that_exist(name):
    assert find_reader(name).fields <= set(TasksConfig.__dataclass_fields__)


@reader
def own(config: TasksConfig) -> TaskCollection:
    return TaskCollection("own", (), (make_task(str(config.root)),), "hash")


@reader  # type: ignore[arg-type]
def wrong(config: TasksConfig) -> str:
    return "tasks"


def test_a_reader_of_your_own():
    assert read_tasks(TasksConfig(reader=f"{__name__}.own", root="r")).test[0].name == "r"
    with pytest.raises(UserError, match="must return a TaskCollection, not str"):
        read_tasks(TasksConfig(reader=f"{__name__}.wrong"))
    for name in ("absent_module.function", f"{__name__}.absent"):
        with pytest.raises(UserError, match=r"cannot import it \(.*[^.]\)\. Or give one of: "):
            read_tasks(TasksConfig(reader=name))


def test_parsed_files_lie_where_the_environment_says(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSTRUCT_ABLATE_CACHE", str(tmp_path / "mine"))
    read_tasks(config(root))
    assert (tmp_path / "mine").is_dir()
    assert not (tmp_path / ".cache").exists()
    monkeypatch.delenv("INSTRUCT_ABLATE_CACHE")
    read_tasks(config(root))
    assert (tmp_path / ".cache").is_dir()


def test_the_first_instances_keep_their_own_choices():
    task = make_task(count=3, label_space=None)
    choices = tuple((one.id, ("a", one.id)) for one in task.instances)
    first = collection_module._first(replace(task, answer_choices=choices), 2)
    assert first.answer_choices == choices[:2]
    assert first.instances == task.instances[:2]


def test_only_test_tasks_are_cut_to_so_many_instances(root, tmp_path):
    def hash_of(count):
        return read_tasks(config(root, test_instances=count), tmp_path / "cache").content_hash

    assert hash_of(3) != hash_of(4), "other test instances are other data"
    assert hash_of(8) == hash_of(9) == hash_of(None), "there are no more than eight"


def test_training_tasks_count_whole_however_few_are_tested(tmp_path):
    train = {"task1_a": {}}
    few = [{"id": f"i{n}", "input": f"Q {n}?", "output": [("yes", "no")[n % 2]]} for n in range(2)]
    root = write_collection(tmp_path / "ni", train, {"task2_b": {"Instances": few}})

    def hash_of(count):
        return read_tasks(config(root, test_instances=count), tmp_path / "cache").content_hash

    assert hash_of(2) == hash_of(5) == hash_of(None), "the test task has but two; the training task has eight"
    assert hash_of(1) != hash_of(2)


def test_data_that_are_pinned_are_those_or_refused(tmp_path):
    known = read_tasks(TasksConfig("starter"), tmp_path).content_hash
    assert read_tasks(TasksConfig("starter", sha256=known), tmp_path).content_hash == known
    with pytest.raises(UserError, match=f"tasks.sha256={'0' * 64}, and the tasks of starter have {known}"):
        read_tasks(TasksConfig("starter", sha256="0" * 64), tmp_path)
    with pytest.raises(UserError, match="64 digits"):
        read_tasks(TasksConfig("starter", sha256="abc"), tmp_path)


def test_checks_of_many_cells_read_a_collection_once(root, tmp_path, monkeypatch):
    """Before: a grid of Super-NaturalInstructions was read three times for each setting and seed before it began."""
    given = config(root, test_instances=1)
    other = replace(given, test_instances=2)
    asked = []
    monkeypatch.setattr(collection_module, "check", asked.append)
    with collection_module.each_read_once():
        first = read_tasks(given, tmp_path)
        assert read_tasks(replace(given), tmp_path) is first
        assert read_tasks(other, tmp_path) != first
        assert asked == [given, other]
        assert read_tasks(given, tmp_path / "elsewhere") == first
        for number in range(MOST_HELD):
            read_tasks(replace(given, test_instances=3 + number), tmp_path)
        assert len(asked) == 3 + MOST_HELD
        assert read_tasks(given, tmp_path) is not first, "let go of"
    assert read_tasks(given, tmp_path) is not read_tasks(given, tmp_path), "edited files are read anew"
