from __future__ import annotations

from pathlib import Path

import pytest

from instruct_ablate.grid.launch.slurm_end import OUT_OF_MEMORY, how_it_ended, out_of_memory
from instruct_ablate.grid.launch.slurm_queue import Ticket


def slurm_says(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    command = folder / "scontrol"
    command.write_text(f"#!/bin/sh\necho '{text}'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("JobId=7 JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125", f"{OUT_OF_MEMORY} (job 7"),
        ("JobId=7 JobState=TIMEOUT ExitCode=0:1", "killed at its time limit"),
        ("JobId=7 JobState=CANCELLED ExitCode=0:15", "cancelled (job 7"),
        ("JobId=7 JobState=FAILED ExitCode=0:9", "job 7 was killed by signal 9"),
        ("JobId=7 JobState=FAILED ExitCode=137:0", "job 7 was killed by signal 9"),
        ("JobId=7 JobState=FAILED ExitCode=1:0", "job 7 ended without a word"),
        ("slurm_load_jobs error: Invalid job id specified", "job 7 ended without a word"),
        ("ExitCode=x JobState==", "job 7 ended without a word"),
    ],
)
def test_slurm_tells_how_a_job_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    slurm_says(tmp_path, monkeypatch, said)
    line = how_it_ended(Ticket("7", 1.0, str(tmp_path / "log")))
    assert line.startswith(told)
    assert f"; its output is in {tmp_path / 'log'}" in line


@pytest.mark.parametrize(
    "line",
    [
        "slurmstepd: error: StepId=1.0 exceeded memory limit (253812736 > 209715200), being killed",
        "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0. Some of your processes may have been killed",
        "srun: error: node: task 0: Out Of Memory; by the cgroup out-of-memory handler",
    ],
)
def test_a_job_s_output_tells_that_it_took_too_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    slurm_says(tmp_path, monkeypatch, "JobId=7 JobState=FAILED ExitCode=137:0")
    (tmp_path / "log").write_text("x\n" * 20_000 + line + "\nsrun: error: task 0: Killed\n")
    ticket = Ticket("7", 1.0, str(tmp_path / "log"))
    assert out_of_memory(ticket)
    assert how_it_ended(ticket).startswith(OUT_OF_MEMORY)


def test_no_output_and_no_slurm_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for output in ("", str(tmp_path), str(tmp_path / "gone"), "\0"):
        assert not out_of_memory(Ticket("7", 1.0, output))
        assert how_it_ended(Ticket("7", 1.0, output)).startswith("job 7 ended without a word")


def test_what_is_no_job_is_asked_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm_says(tmp_path, monkeypatch, "JobState=TIMEOUT")
    assert "ended without a word" in how_it_ended(Ticket("--help", 1.0, ""))
