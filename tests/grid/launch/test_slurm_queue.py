from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from instruct_ablate.grid.launch import slurm_queue as module
from instruct_ablate.grid.launch.slurm_queue import (
    SlurmSilentError,
    Ticket,
    queue,
    queued,
    read_ticket,
    seen_queued,
    write_ticket,
)
from tests.left_out import left_out


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


@pytest.mark.parametrize(
    ("script", "why"),
    [(None, "FileNotFoundError"), ("echo 'Unable to contact' >&2; exit 1", "Unable to contact")],
)
def test_a_queue_that_cannot_be_asked_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, why: str
) -> None:
    if script is not None:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queued([tmp_path / "a"]) == {}
    write_ticket(tmp_path / "a", Ticket("1", 0.0, ""))
    write_ticket(tmp_path / "b", Ticket("1", 0.0, "", "local"))
    with pytest.raises(SlurmSilentError, match=f"{why}.*nothing is queued twice"):
        queued([tmp_path / "a"])
    assert queued([tmp_path / "b"]) == {}
    seen = seen_queued([tmp_path / "a", tmp_path / "b"])
    assert list(seen) == [tmp_path / "a"]
    assert why in seen[tmp_path / "a"]


def test_a_cell_that_told_its_end_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_ticket(tmp_path, Ticket("1", 5.0, ""))
    record = SimpleNamespace(state="failed", finished=6.0)
    monkeypatch.setattr(module, "read_record", lambda folder: record)
    assert queued([tmp_path]) == {}
    record.finished = 4.0
    with pytest.raises(SlurmSilentError):
        queued([tmp_path])


def test_only_jobs_that_are_not_over_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "7|RUNNING (None)\n")
    for name, job in (("a", "7"), ("b", "6")):
        write_ticket(tmp_path / name, Ticket(job, 0.0, ""))
    assert queued([tmp_path / "a", tmp_path / "b", tmp_path / "c"]) == {tmp_path / "a": "RUNNING"}


def test_a_cell_that_ended_when_its_job_was_queued_has_told_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, "1|RUNNING (None)\n")
    write_ticket(tmp_path, Ticket("1", 5.0, ""))
    record = SimpleNamespace(state="done", finished=5.0)
    monkeypatch.setattr(module, "read_record", lambda folder: record)
    assert queued([tmp_path]) == {}
    record.state = "interrupted"
    assert queued([tmp_path]) == {tmp_path: "RUNNING"}


def test_slurm_is_asked_once_for_this_users_jobs_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], dict[str, object]]] = []

    def run(words: list[str], **given: object) -> subprocess.CompletedProcess[str]:
        asked.append((words, given))
        return subprocess.CompletedProcess(words, 0, stdout="1|RUNNING (None)|x\nnoise\n")

    monkeypatch.setattr(module.subprocess, "run", run)
    assert queue() == {"1": "RUNNING|x"}
    ((words, given),) = asked
    assert words == ["squeue", "--me", "--noheader", "--array", "--format=%i|%T (%r)"]
    assert given == {"capture_output": True, "text": True, "timeout": 30, "check": True}


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (subprocess.CalledProcessError(3, "squeue", stderr=" two\n lines "), "two lines"),
        (subprocess.CalledProcessError(3, "squeue", stderr=None), "squeue ended with status 3"),
        (subprocess.CalledProcessError(3, "squeue", stderr=300 * "x"), 200 * "x"),
        (subprocess.TimeoutExpired("squeue", 30), "squeue: TimeoutExpired"),
    ],
)
def test_why_slurm_does_not_answer(monkeypatch: pytest.MonkeyPatch, error: Exception, why: str) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module.subprocess, "run", run)
    with pytest.raises(SlurmSilentError) as caught:
        queue()
    assert caught.value.why == why


def test_a_ticket_is_of_slurm_where_nothing_else_is_said() -> None:
    assert (Ticket("1", 0.0, "").cluster, Ticket("1", 0.0, "").code) == ("slurm", "")


def test_what_is_left_out() -> None:
    assert left_out(Ticket) == {"cluster": "slurm"}
