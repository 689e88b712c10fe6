import json

import datasets
import huggingface_hub
import pytest

from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.readers.hf_dataset import FIELDS

ROWS = [{"text": f"film {n}", "label": n % 2, "key": f"k{n}", "options": ["bad", "good"]} for n in range(8)]
FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["neg", "pos"]),
        "key": datasets.Value("string"),
        "options": datasets.List(datasets.Value("string")),
    }
)


@pytest.fixture
def root(tmp_path):
    data = datasets.Dataset.from_list(ROWS, features=FEATURES)
    datasets.DatasetDict({"train": data, "test": data.select(range(4))}).save_to_disk(str(tmp_path / "films"))
    return tmp_path / "films"


def config(root, **changes):
    fields = {
        "reader": "hf_dataset",
        "root": str(root),
        "train_split": "train",
        "test_split": "test",
        "columns": {"input": "text", "output": "label"},
        "definition": "Is the film good?",
        "labels": ["negative", "positive"],
    }
    return TasksConfig(**{**fields, **changes})


def test_one_task_in_two_splits(root, tmp_path):
    collection = read_tasks(config(root), tmp_path / "cache")
    (train,), (test,) = collection.train, collection.test
    assert train.name == test.name == "films"
    assert (len(train.instances), len(test.instances)) == (8, 4)
    assert train.definition == "Is the film good?"
    assert train.label_space == ("negative", "positive")
    assert test.instances[1].references == ("positive",)
    assert test.instances[1].id == "films-test-1"


def test_without_labels_the_data_sets_own_names_count(root, tmp_path):
    (train,) = read_tasks(config(root, labels=[]), tmp_path / "cache").train
    assert train.label_space == ("neg", "pos")


def test_id_and_choices_columns(root, tmp_path):
    columns = {"input": "text", "output": "label", "id": "key", "choices": "options"}
    (train,) = read_tasks(config(root, columns=columns, labels=["bad", "good"]), tmp_path / "cache").train
    assert train.answer_choices[2] == ("k2", ("bad", "good"))


def test_plain_files_and_text_labels(tmp_path):
    (tmp_path / "own").mkdir()
    for split in ("train", "test"):
        (tmp_path / "own" / f"{split}.csv").write_text("text,label\na,good\nb,bad\n")
    wanted = config(tmp_path / "own", labels=["good", "bad"])
    assert read_tasks(wanted, tmp_path / "cache").test[0].instances[1].references == ("bad",)
    wanted = config(
        tmp_path / "own" / "train.csv", labels=["good", "bad"], train_split=None, test_split="train"
    )
    assert read_tasks(wanted, tmp_path / "cache").train == ()


def test_a_label_outside_the_list(root, tmp_path):
    (tmp_path / "three").mkdir()
    for split in ("train", "test"):
        lines = [json.dumps({"text": str(n), "label": n}) for n in range(3)]
        (tmp_path / "three" / f"{split}.jsonl").write_text("\n".join(lines))
    with pytest.raises(
        UserErrors, match="train, row 3: column 'label' holds 2, but there are 2 labels"
    ) as caught:
        read_tasks(config(tmp_path / "three"), tmp_path / "cache")
    assert len(caught.value.faults) == 2
    (tmp_path / "own.jsonl").write_text('{"text": "a", "label": "goood"}')
    wanted = config(tmp_path / "own.jsonl", labels=["good", "bad"], train_split=None, test_split="train")
    with pytest.raises(UserErrors, match="holds 'goood', not one of: good, bad"):
        read_tasks(wanted, tmp_path / "cache")


def test_what_is_needed_is_told_at_once(tmp_path):
    wanted = TasksConfig(reader="hf_dataset", columns={"inptu": "text"})
    with pytest.raises(UserErrors) as caught:
        read_tasks(wanted, tmp_path)
    told = "\n".join(caught.value.faults)
    for key in (
        "tasks.root",
        "tasks.definition",
        "tasks.test_split",
        "tasks.columns.input",
        "tasks.columns.output",
    ):
        assert f"{key} is needed" in told
    assert "unknown key 'inptu'; did you mean 'input'" in told


def test_unknown_split_and_column(root, tmp_path):
    with pytest.raises(UserError, match=r"unknown split of .* 'tset'; did you mean 'test'"):
        read_tasks(config(root, test_split="tset"), tmp_path / "cache")
    with pytest.raises(UserError, match=r"unknown column .* 'txt'; did you mean 'text'"):
        read_tasks(config(root, columns={"input": "txt", "output": "label"}), tmp_path / "cache")


def test_what_cannot_be_loaded(tmp_path, monkeypatch):
    def away(*words, **more):
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *words, **more: None)
    monkeypatch.setattr(datasets, "load_dataset", away)
    gone = r"root=somebody/films: there is no such folder or file in .*, and `datasets` cannot load it: no route$"
    with pytest.raises(UserError, match=gone):
        read_tasks(config("somebody/films"), tmp_path / "cache")
    monkeypatch.setattr(datasets, "load_dataset", lambda *words, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a fault of the library is not told as the user's
        read_tasks(config("somebody/films"), tmp_path / "cache")


def test_a_changed_file_is_read_again(root, tmp_path):
    first = read_tasks(config(root), tmp_path / "cache")
    assert read_tasks(config(root), tmp_path / "cache") == first
    assert (
        read_tasks(config(root, definition="Other."), tmp_path / "cache").content_hash != first.content_hash
    )


def test_other_names_of_the_same_labels_are_other_content(root, tmp_path):
    assert read_tasks(config(root, labels=[]), tmp_path / "cache").test[0].instances[1].references == ("pos",)
    for about in root.glob("*/dataset_info.json"):
        about.write_text(about.read_text().replace('"pos"', '"yes"'))
    assert read_tasks(config(root, labels=[]), tmp_path / "cache").test[0].instances[1].references == ("yes",)


@pytest.mark.parametrize(
    ("given", "labels", "texts"),
    [
        ([0, 1], ["no", "yes"], ["no", "yes"]),
        ([False, True], ["no", "yes"], ["no", "yes"]),
        (["0", "1"], ["no", "yes"], ["no", "yes"]),
        ([1, 2], ["2", "1"], ["1", "2"]),
        (["yes", "no"], ["no", "yes"], ["yes", "no"]),
        ([["no", "yes"], ["yes"]], ["no", "yes"], ["no", "yes"]),
    ],
)
def test_numbers_and_truth_values_count_through_the_labels(tmp_path, given, labels, texts):
    rows = [json.dumps({"text": str(n), "label": value}) for n, value in enumerate(given)]
    (tmp_path / "own.jsonl").write_text("\n".join(rows))
    wanted = config(tmp_path / "own.jsonl", labels=labels, train_split=None, test_split="train")
    (task,) = read_tasks(wanted, tmp_path / "cache").test
    assert [one.references[0] for one in task.instances] == texts


def test_one_label_and_letters_for_choices_are_refused(tmp_path):
    with pytest.raises(UserErrors, match="one label is no classification"):
        read_tasks(config(tmp_path, labels=["only"]), tmp_path / "cache")
    rows = [{"text": "x", "label": "A", "c": {"text": ["blue", "red"], "label": ["A", "B"]}}]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    columns = {"input": "text", "output": "label", "choices": "c"}
    wanted = config(tmp_path / "own.jsonl", labels=[], train_split=None, test_split="train", columns=columns)
    with pytest.raises(UserErrors, match=r"'A' is not among 'blue', 'red'.*not their letters or numbers"):
        read_tasks(wanted, tmp_path / "cache")


def test_ids_of_the_data_are_taken_and_others_are_made(root, tmp_path):
    plain = {"input": "text", "output": "label"}
    for columns, ids in ((plain, ["films-train-0", "films-train-1"]), ({**plain, "id": "key"}, ["k0", "k1"])):
        (train,) = read_tasks(config(root, columns=columns), tmp_path / "cache").train
        assert [one.id for one in train.instances][:2] == ids


def test_keys_that_it_reads():
    """Any other key of the group is refused, so one that falls out here is lost to users."""
    assert {
        "root",
        "train_split",
        "test_split",
        "columns",
        "definition",
        "labels",
        "test_instances",
        "label_spaces",
        "examples",
    } == FIELDS


def test_a_file_has_one_split_and_the_message_says_how_to_have_two(tmp_path):
    for name in ("all.csv", "all.jsonl.gz"):
        (tmp_path / name).write_text("")
        with pytest.raises(UserError, match="unknown split") as caught:
            read_tasks(config(tmp_path / name, train_split=None), tmp_path / "cache")
        ending = name.removeprefix("all")
        assert f"divide it into train{ending} and test{ending} in a folder" in str(caught.value)
