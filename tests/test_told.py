"""What is no mistake but must be told: budgets larger than the data, cut prompts; and a disk that fills up."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from instruct_ablate.cell.state.record.prediction_writer import PredictionWriter
from instruct_ablate.cell.state.record.predictions import read_predictions, unfinished
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.entry import main
from tests.tasks.layout import write_collection

Run = Callable[..., tuple[int, str]]
FULL = 3  # rows that the disk has room for


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one small cell through `train.py` in this process; return status and what was said."""
    root = write_collection(tmp_path / "ni", {"task1_one": {}}, {"task2_two": {}})

    def call(*words: str) -> tuple[int, str]:
        common = ["tasks=natural_instructions", f"tasks.root={root}", "model=tiny_llama", "logger=none"]
        common += [f"output={tmp_path}/multirun", f"cache={tmp_path}/cache", "trainer.max_steps=1"]
        common += ["trainer.progress=false", "trainer.accelerator=cpu", "trainer.precision=fp32"]
        monkeypatch.setattr(sys, "argv", ["train.py", *common, *words])
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        said = "".join(capsys.readouterr())
        assert "Traceback" not in said
        return status, said

    return call


def only(tmp_path: Path) -> tuple[CellRecord, Path]:
    (path,) = tmp_path.glob("multirun/*/*/record.json")
    record = read_record(path.parent)
    assert record is not None
    return record, path.parent


def test_more_than_there_is_is_used_as_it_is_and_said(run: Run, tmp_path: Path) -> None:
    status, said = run("data_budget=200", "data_budget.tasks=9", "tasks.test_tasks=5")
    assert status == 0, said
    notes = "\n".join(only(tmp_path)[0].notes)
    assert "data_budget.instances_per_task=200: 1 task has fewer and is used as it is: task1_one (8)" in notes
    assert "data_budget.tasks=9: the collection has 1 training task; all are used" in notes
    assert "tasks.test_tasks=5: the collection has 1 test task; all are used" in notes


def test_prompts_that_are_too_long_are_cut_and_counted(run: Run, tmp_path: Path) -> None:
    status, said = run("data_budget=2", "prompt.max_source_length=12")
    assert status == 0, said
    record, folder = only(tmp_path)
    assert [
        note for note in record.notes if note.startswith("training: 2 prompts: 2 cut at prompt.max_source")
    ]
    assert [note for note in record.notes if note.startswith("test, original: 8 prompts: 8 cut")]
    rows = read_predictions(folder / record.blocks[0].predictions)
    assert all(row.truncated for row in rows)


def test_a_full_disk_ends_the_cell_and_loses_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = PredictionWriter._write
    written = []

    def write(self: PredictionWriter, line: bytes) -> None:
        if len(written) >= FULL:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(line)
        whole(self, line)

    monkeypatch.setattr(PredictionWriter, "_write", write)
    status, said = run("data_budget=0")
    assert status == 1
    assert "the disk is full" in said
    assert "original.jsonl" in said
    record, folder = only(tmp_path)
    assert record.state == "failed"
    (rest,) = unfinished(folder / "predictions" / "original.jsonl")
    kept = rest.read_bytes()
    assert kept == b"".join(written)

    monkeypatch.setattr(PredictionWriter, "_write", whole)
    status, said = run("data_budget=0")
    assert status == 0, said
    record, folder = only(tmp_path)
    assert record.state == "done"
    rows = (folder / record.blocks[0].predictions).read_bytes()
    assert rows.startswith(kept), "what was predicted is not predicted again"
    assert rows.count(b"\n") == 8
