"""What holds for every reader: collections come back as they are; ids, order and other columns change nothing."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_ablate.cell.after.import_predictions import import_predictions
from instruct_ablate.errors import UserErrors
from instruct_ablate.normalisation import label_form as normalise
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks, reader
from instruct_ablate.tasks.task import Instance, Task, TaskCollection

LABELS = ("yes", "no")


@dataclass(frozen=True)
class Item:
    """A row to be written: its texts, an id (or none) and a column that no reader is told of."""

    input: str
    output: Any
    id: Any = None
    note: Any = "x"


def natural_instructions(root: Path, items: Sequence[Item]) -> TasksConfig:
    rows = [{"id": one.id, "input": one.input, "output": one.output, "note": one.note} for one in items]
    task = {"Definition": "Answer.", "Categories": ["A"], "Instances": rows}
    (root / "tasks").mkdir()
    (root / "tasks" / "t.json").write_text(json.dumps(task))
    lists = root / "splits" / "default"
    lists.mkdir(parents=True)
    (lists / "train_tasks.txt").write_text("")
    (lists / "test_tasks.txt").write_text("t\n")
    return TasksConfig(reader="natural_instructions", root=str(root))


def p3(root: Path, items: Sequence[Item]) -> TasksConfig:
    rows = [
        {
            "inputs_pretokenized": one.input,
            "targets_pretokenized": one.output,
            "idx": one.id,
            "note": one.note,
        }
        for one in items
    ]
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return TasksConfig(reader="p3", root=str(root), test_split="t")


def alpaca(root: Path, items: Sequence[Item]) -> TasksConfig:
    rows = [
        {"instruction": "Answer.", "input": one.input, "output": one.output, "id": one.id, "note": one.note}
        for one in items
    ]
    (root / "t.json").write_text(json.dumps(rows))
    return TasksConfig(reader="instruction_json", root=str(root), test_split="t")


def hub(root: Path, items: Sequence[Item], name: str = "t.jsonl") -> TasksConfig:
    rows = [{"text": one.input, "label": one.output, "key": one.id, "note": one.note} for one in items]
    write_rows(root / name, rows)
    return TasksConfig(
        reader="hf_dataset",
        root=str(root / name),
        test_split="train",
        definition="Answer.",
        columns={"input": "text", "output": "label", "id": "key"},
    )


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(map(json.dumps, rows)))


RETURNED: dict[str, Sequence[Item]] = {}


@reader
def from_code(config: TasksConfig) -> TaskCollection:
    items = tuple(Instance(one.id, one.input, one.output) for one in RETURNED[str(config.root)])
    return TaskCollection("own", (), (Task("t", "Answer.", items),))


def own(root: Path, items: Sequence[Item]) -> TasksConfig:
    RETURNED[str(root)] = items
    return TasksConfig(reader=f"{__name__}.from_code", root=str(root))


Write = Callable[[Path, Sequence[Item]], TasksConfig]
READERS: dict[str, Write] = {
    "natural_instructions": natural_instructions, "p3": p3, "instruction_json": alpaca, "hf_dataset": hub, "own": own,
}  # fmt: skip
every_reader = pytest.mark.parametrize("write", READERS.values(), ids=READERS)


def read(write: Write, items: Sequence[Item]) -> tuple[Task, tuple[str, ...]]:
    """Write the items, read them, and return the one task."""
    with TemporaryDirectory() as folder:
        root = Path(folder, "data")
        root.mkdir()
        collection = read_tasks(write(root, items), Path(folder, "cache"))
        (task,) = collection.test
        return Task(**{**vars_of(task), "instances": tuple(task.instances)}), collection.notes


def vars_of(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in Task.__dataclass_fields__}


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff\r"), max_size=12).map(str.strip)
IDS = st.one_of(
    st.none(),
    st.integers(-3, 10**30),
    st.booleans(),
    st.floats(),
    st.sampled_from(["a", "a#2", "t-0", " "]),
    TEXTS,
)
ITEMS = st.lists(
    st.builds(Item, TEXTS, st.one_of(st.sampled_from(LABELS), TEXTS), IDS, st.one_of(TEXTS, st.none())),
    min_size=1,
    max_size=8,
)


@every_reader
@given(items=ITEMS)
@settings(max_examples=15, deadline=None)
def test_texts_come_back_and_ids_are_unique(write: Write, items: list[Item]) -> None:
    task, _ = read(write, items)
    assert [(one.input, one.references) for one in task.instances] == [
        (item.input, (item.output,)) for item in items
    ]
    ids = [one.id for one in task.instances]
    assert len(set(ids)) == len(items)
    assert all(isinstance(name, str) and name.strip() for name in ids)


@every_reader
@given(items=ITEMS, renamed=st.lists(IDS, min_size=8, max_size=8))
@settings(max_examples=10, deadline=None)
def test_ids_and_other_columns_change_no_text(write: Write, items: list[Item], renamed: list[Any]) -> None:
    other = [Item(item.input, item.output, name, name) for item, name in zip(items, renamed, strict=False)]
    first, second = read(write, items)[0], read(write, other)[0]
    assert [(one.input, one.references) for one in first.instances] == [
        (one.input, one.references) for one in second.instances
    ]
    assert (first.label_space, first.kind, first.definition) == (
        second.label_space,
        second.kind,
        second.definition,
    )


@every_reader
@given(items=ITEMS, order=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_order_and_double_rows(write: Write, items: list[Item], order: Any) -> None:
    mixed = [*items]
    order.shuffle(mixed)
    first, second = read(write, items)[0], read(write, mixed)[0]

    def content(task: Task) -> Counter[tuple[str, tuple[str, ...]]]:
        return Counter((one.input, one.references) for one in task.instances)

    assert content(first) == content(second)
    assert first.kind == second.kind
    assert set(map(normalise, first.label_space or ())) == set(map(normalise, second.label_space or ()))
    twice = read(write, [*items, *items])[0]
    assert content(twice) == Counter({row: 2 * n for row, n in content(first).items()})
    assert len({one.id for one in twice.instances}) == 2 * len(items)


@every_reader
@pytest.mark.parametrize(
    "odd",
    [
        Item("a\ud83d", "x\0"), Item("x", ["b", "c"]), Item("x", {"text": ["b", "c"], "start": [1, 2]}),
        Item("\ufeffx", 3), Item("x", ""), Item("", "x"),
    ],
)  # fmt: skip
def test_odd_values_become_the_same_texts_everywhere(write: Write, odd: Item) -> None:
    task, notes = read(write, [odd, Item("in", "out")])
    expected = {
        "a\ud83d": ("a\ufffd", ("x\ufffd",)),
        "\ufeffx": ("x", ("3",)),
        "": ("", ("x",)),
    }.get(odd.input, ("x", ("",) if odd.output == "" else ("b", "c")))
    first = task.instances[0]
    assert (first.input, first.references) == expected
    assert bool(notes) or odd.input in ("", "x")


@every_reader
@pytest.mark.parametrize("output", [True, {"a": 1}, [["x"]]])
def test_what_is_no_text_is_refused_or_left_out_and_noted(write: Write, output: Any) -> None:
    items = [Item("in", "out"), Item("x", output)]
    if write is natural_instructions:
        task, notes = read(write, items)
        assert len(task.instances) == 1
        assert any("instance whose output is no text left out" in note for note in notes)
        return
    with pytest.raises(UserErrors, match="not text"):
        read(write, items)


@every_reader
def test_one_label_is_no_classification(write: Write) -> None:
    task, _ = read(write, [Item(f"q{n}", "same") for n in range(6)])
    assert (task.kind, task.label_space) == ("generation", None)


@every_reader
def test_predictions_by_the_same_odd_ids_find_their_rows(write: Write, tmp_path: Path) -> None:
    """What is written by the ids that a collection has is imported again, whatever the ids were in its files."""
    items = [Item(f"q{n}", LABELS[n % 2], name) for n, name in enumerate([7, 7, None, "a", "a#2", "a"])]
    task, _ = read(write, items)
    answers = [{"task": task.name, "id": one.id, "prediction": one.references[0]} for one in task.instances]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, reversed(answers))))
    imported = import_predictions(tmp_path / "answers.jsonl", TaskCollection("c", (), (task,), "h"))
    assert [row.references for row in imported.rows] == [one.references for one in task.instances]
    assert imported.scores.overall.get("exact_match") == 100


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.parquet"])
def test_every_file_format_gives_the_same_task(name: str) -> None:
    items = [
        Item(text, label, f"k{n}")
        for n, (text, label) in enumerate([("null", "None"), ("", "007"), ('é,"', "x")])
    ]
    task, _ = read(lambda root, rows: hub(root, rows, name), items)
    assert [(one.id, one.input, one.references[0]) for one in task.instances] == [
        ("k0", "null", "None"), ("k1", "", "007"), ("k2", 'é,"', "x"),
    ]  # fmt: skip


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_make_no_difference(tmp_path: Path, shards: int) -> None:
    root, size = tmp_path / "data", 10 // shards
    root.mkdir()
    rows = [{"text": f"q{n}", "label": LABELS[n % 2]} for n in range(10)]
    for at in range(shards):
        write_rows(root / f"test-{at:05d}-of-{shards:05d}.jsonl", rows[at * size : (at + 1) * size])
    config = replace(hub(tmp_path, [Item("x", "y")]), root=str(root), test_split="test")
    config.columns = {"input": "text", "output": "label"}
    (task,) = read_tasks(config, tmp_path / "cache").test
    assert [one.input for one in task.instances] == [f"q{n}" for n in range(10)]
    assert [one.id for one in task.instances] == [f"data-test-{n}" for n in range(10)]
