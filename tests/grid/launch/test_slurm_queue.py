from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from instruct_ablate.grid.launch import slurm_queue as module
from instruct_ablate.grid.launch.slurm_queue import Ticket, queue, queued, read_ticket, write_ticket


def told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    done = subprocess.CompletedProcess([], 0, stdout=text)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: done)


def test_a_ticket_is_read_back(tmp_path: Path) -> None:
    ticket = Ticket("12_3", 5.0, "log.err")
    write_ticket(tmp_path, ticket)
    assert read_ticket(tmp_path) == ticket
    (tmp_path / "queue.json").write_text("{")
    assert read_ticket(tmp_path) is None
    assert read_ticket(tmp_path / "elsewhere") is None


def test_slurms_queue_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "12_0|RUNNING (None)\n12_1|PENDING (PartitionTimeLimit)\n\n")
    assert queue() == {"12_0": "RUNNING", "12_1": "PENDING (PartitionTimeLimit)"}


def test_without_slurm_nothing_is_queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_ticket(tmp_path, Ticket("1", 0.0, ""))
    assert queued([tmp_path]) == {}


def test_only_jobs_that_are_not_over_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "7|RUNNING (None)\n")
    for name, job in (("a", "7"), ("b", "6")):
        write_ticket(tmp_path / name, Ticket(job, 0.0, ""))
    assert queued([tmp_path / "a", tmp_path / "b", tmp_path / "c"]) == {tmp_path / "a": "RUNNING"}
