"""Test rows that repeat training rows are counted, whatever reads them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.collection import read_tasks
from instruct_ablate.tasks.sampling.repeated import repeated_notes
from tests.conftest import make_task


def test_test_rows_that_were_trained_on_are_told(tmp_path: Path) -> None:
    """Before: a model that had every test row in its training stood at 100 %, without a word."""
    (tmp_path / "mine").mkdir()
    inputs = {"train": ["red a", "blue b", "\u00e9 c", "red d"], "test": ["red a", "\u00e9 c", "green e"]}
    for split, given in inputs.items():
        rows = [{"q": text, "a": text.split()[0]} for text in given]
        (tmp_path / "mine" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = TasksConfig(
        reader="hf_dataset", root=str(tmp_path / "mine"), train_split="train", test_split="test",
        columns={"input": "q", "output": "a"}, definition="Say the colour.",
    )  # fmt: skip
    told = "mine: {} test rows have the input of a training row"
    notes = read_tasks(config, tmp_path / "cache").notes
    assert any(note.startswith(told.format("2 of 3")) for note in notes)
    few = read_tasks(replace(config, test_instances=1), tmp_path / "cache").notes
    assert any(note.startswith(told.format("1 of 1")) for note in few)


def test_other_tasks_and_other_rows_are_not_told() -> None:
    task = make_task("a")
    assert list(repeated_notes([make_task("b")], [task])) == []
    apart = replace(task, instances=tuple(replace(one, input=f"{one.input}!") for one in task.instances))
    assert list(repeated_notes([apart], [task])) == []
    assert len(list(repeated_notes([task], [task]))) == 1
