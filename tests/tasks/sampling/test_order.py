"""The order in which training tasks are read: found for every reader, and told by their names alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import collection
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.order import USUAL_ORDER, order_of, order_of_parts
from instruct_ablate.tasks.task import Instance, Task, TaskCollection
from tests.tasks.layout import write_collection

NAMES = ("task1_a", "task2_b", "task10_c")


def tasks(*names: str) -> tuple[Task, ...]:
    return tuple(Task(name, "Do it.", (Instance(f"{name}-0", "this", ("done",)),)) for name in names)


def split(root: Path, train: Sequence[str], test: Sequence[str] = ("task3_d", "task4_e")) -> TasksConfig:
    write_collection(root, {name: {} for name in train}, {name: {} for name in test})
    return TasksConfig("natural_instructions", root=str(root))


def test_the_order_of_the_names_is_the_usual_one_and_any_other_is_another() -> None:
    assert order_of(tasks(*sorted(NAMES))) == order_of(tasks("one")) == order_of(()) == USUAL_ORDER
    others = [order_of(tasks(*names)) for names in (NAMES, NAMES[::-1], (*NAMES[1:], NAMES[0]))]
    assert len({*others, USUAL_ORDER}) == 4
    assert order_of(tasks(*NAMES)) == others[0]


def test_a_mixture_is_in_the_usual_order_where_its_parts_are() -> None:
    assert order_of_parts({"a": USUAL_ORDER, "b": USUAL_ORDER}) == USUAL_ORDER
    others = (
        {"b": USUAL_ORDER, "a": USUAL_ORDER},
        {"a": "0f", "b": USUAL_ORDER},
        {"a": USUAL_ORDER, "b": "0f"},
        {"b": USUAL_ORDER, "a": "0f"},  # as the one before, but for the parts' places
    )
    assert len({USUAL_ORDER, *map(order_of_parts, others)}) == 5


def test_a_split_list_in_another_order_has_the_same_content(tmp_path: Path) -> None:
    first = read_tasks(split(tmp_path / "a", sorted(NAMES)), tmp_path)
    other = read_tasks(split(tmp_path / "b", NAMES), tmp_path)
    tested = read_tasks(split(tmp_path / "c", sorted(NAMES), ("task4_e", "task3_d")), tmp_path)
    assert first.content_hash == other.content_hash == tested.content_hash
    assert (first.order, other.order) == (USUAL_ORDER, order_of(tasks(*NAMES)))
    assert tested.order == USUAL_ORDER  # no score hangs on it


def test_what_is_left_out_has_no_place_in_the_order(tmp_path: Path) -> None:
    given = split(tmp_path / "a", NAMES)
    assert read_tasks(replace(given, train_include=["task1_*", "task2_*"]), tmp_path).order == USUAL_ORDER
    whole = read_tasks(given, tmp_path).order
    assert read_tasks(replace(given, validation=1), tmp_path).order == whole  # held out by its name


def test_where_test_tasks_are_trained_on_their_list_is_what_orders(tmp_path: Path) -> None:
    given = split(tmp_path / "a", NAMES, ("task4_e", "task3_d"))
    shots = replace(given, train_on="test_task", test_instances=2)
    assert read_tasks(shots, tmp_path).order == order_of(tasks("task4_e", "task3_d"))


@pytest.mark.parametrize("place", ["records", "prompt sets"])
def test_files_and_records_in_another_order(tmp_path: Path, place: str) -> None:
    """Prompt sets are read by the names of their files: b-c.jsonl stands before b.jsonl, and b/ before b-c/."""
    if place == "records":
        lines = [json.dumps({"instruction": f"Do {n}.", "input": "", "output": "x"}) for n in range(30)]
        config = TasksConfig("instruction_json")
        files = [{"r.jsonl": lines}, {"r.jsonl": lines[::-1]}]
    else:
        row = [json.dumps({"inputs_pretokenized": "Is it?", "targets_pretokenized": "yes"})]
        config = TasksConfig("p3", test_split="c")
        files = [{"b/train.jsonl": row, "b-c/train.jsonl": row, "c.jsonl": row}]
        files.append({"b.jsonl": row, "b-c.jsonl": row, "c.jsonl": row})
    read = []
    for at, given in enumerate(files):
        for name, rows in given.items():
            path = tmp_path / str(at) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(rows))
        root = tmp_path / str(at) / "r.jsonl" if place == "records" else tmp_path / str(at)
        read.append(read_tasks(replace(config, root=str(root)), tmp_path))
    assert read[0].content_hash == read[1].content_hash
    assert len({one.order for one in read}) == 2


def test_parts_of_a_mixture_given_in_another_order(tmp_path: Path) -> None:
    parts = {name: {"reader": "natural_instructions", "root": str(tmp_path / name)} for name in ("a", "b")}
    for name in parts:
        split(tmp_path / name, sorted(NAMES))
    swapped = dict(reversed(parts.items()))
    first, other, left = (
        read_tasks(TasksConfig("mixture", parts=given, **more), tmp_path)
        for given, more in ((parts, {}), (swapped, {}), (swapped, {"leave_out": "a"}))
    )
    assert first.content_hash == other.content_hash
    assert first.order == USUAL_ORDER != other.order
    assert left.order == other.order, "what is left out does not name the mixture anew"


@pytest.mark.parametrize("own_hash", [False, True])
def test_a_reader_of_ones_own_that_names_its_content_does_not_tell_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_hash: bool
) -> None:
    def read(names: Sequence[str], cache: Path) -> TaskCollection:
        given = TaskCollection("mine", tasks(*names), tasks("test"), "mine 1" if own_hash else "")
        monkeypatch.setattr(
            "instruct_ablate.tasks.readers.own.load_function", lambda name, key: lambda _: given
        )
        return collection.read_tasks(TasksConfig("mine.read"), cache)

    first, other = read(sorted(NAMES), tmp_path / "a"), read(NAMES, tmp_path / "b")
    assert (first.content_hash == other.content_hash) is own_hash
    assert (first.order != other.order) is own_hash
