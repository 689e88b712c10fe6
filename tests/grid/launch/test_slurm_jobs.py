from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.cell.run import runner
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.store import read_record, write_record
from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.grid.launch import slurm_jobs as submitted
from instruct_ablate.grid.launch.slurm_jobs import CellJob, Submission
from instruct_ablate.grid.launch.slurm_queue import SlurmSilentError, Ticket, write_ticket
from instruct_ablate.grid.planned_cell import Cell
from tests.standins import make_config, replace_inputs, work

PARAMS = {"submitit_folder": "jobs"}


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)
    monkeypatch.setattr(runner, "_work", work)


@pytest.mark.parametrize(("number", "requeued"), [("SIGUSR2", 1), ("SIGTERM", 0)])
def test_only_a_job_whose_time_is_up_asks_for_a_new_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, requeued: int
) -> None:
    def stopped(job: Job) -> Outcome:
        raise Interrupted(f"told to stop ({number})")

    monkeypatch.setattr(runner, "_work", stopped)
    calls: list[int] = []
    before = {each: signal.getsignal(each) for each in (signal.SIGUSR2, signal.SIGTERM)}
    signal.signal(signal.SIGUSR2, lambda number, frame: calls.append(number))
    try:
        assert CellJob()(make_config(tmp_path)) == "interrupted"
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert len(calls) == requeued


def test_a_job_that_ended_without_a_word_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitted, "queue", dict)
    config = make_config(tmp_path)
    cell = Cell((), config, identify(config))
    Submission("slurm", PARAMS).wait({"1": (cell, None)}, poll=0.01)
    runner.run_cell(config)
    Submission("slurm", PARAMS).wait({"1": (cell, None)}, poll=0.01)


def test_fail_fast_takes_the_others_out_of_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAIL", "s0")
    configs = [make_config(tmp_path, seed=seed, fail_fast=True) for seed in (0, 1)]
    cancelled: list[bool] = []
    job: Any = SimpleNamespace(cancel=lambda check: cancelled.append(bool(check)))
    jobs = {str(n): (Cell((), config, identify(config)), job) for n, config in enumerate(configs)}
    runner.run_cell(configs[0])
    monkeypatch.setattr(submitted, "queue", lambda: {"1": "PENDING (Resources)"})
    with pytest.raises(SystemExit):
        Submission("slurm", PARAMS).wait(jobs, poll=0.01)
    assert cancelled == [False]


def test_without_slurm_the_launcher_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="submitit_slurm"):
        Submission("slurm", {"submitit_folder": str(tmp_path)}).submit([])


def test_a_queue_that_does_not_answer_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = make_config(tmp_path)
    answers: list[dict[str, str] | None] = [{"1": "RUNNING"}, None, None, {"1": "RUNNING"}, {}]

    def queue() -> dict[str, str]:
        answer = answers.pop(0)
        if answer is None:
            raise SlurmSilentError("Unable to contact slurm controller")
        return answer

    pauses: list[float] = []
    monkeypatch.setattr(submitted, "queue", queue)
    monkeypatch.setattr(submitted.time, "sleep", pauses.append)
    Submission("slurm", PARAMS).wait({"1": (Cell((), config, identify(config)), None)})
    assert answers == []
    assert pauses == [2.0, 2.0, 4.0, 8.0, 2.0]
    said = [message for message in caplog.messages if "does not answer" in message]
    assert said == ["Slurm does not answer (Unable to contact slurm controller); the jobs are waited for"]


@pytest.mark.parametrize(
    ("name", "value"), [("timeout_min", 0), ("nodes", -1), ("mem_gb", "x"), ("cpus_per_task", True)]
)
def test_limits_that_no_job_can_run_with_are_refused(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"hydra\.launcher\.{name}={value}"):
        Submission("slurm", {"submitit_folder": str(tmp_path), name: value}).submit([])


def test_sbatchs_refusal_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition\nspecified: nope' >&2; exit 1\n"
    )
    for name in ("sbatch", "srun"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = make_config(tmp_path / "out")
    with pytest.raises(UserError, match=r"the jobs were refused: .*invalid partition") as raised:
        Submission("slurm", {"submitit_folder": str(tmp_path / "jobs")}).submit(
            [Cell((), config, identify(config))]
        )
    assert "\n" not in str(raised.value)


def test_a_job_s_end_is_told_with_its_own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitted, "queue", dict)
    config = make_config(tmp_path)
    cell = Cell((), config, identify(config))
    runner.run_cell(config)
    record = replace(read_record(cell.folder), state="interrupted", blocks=(), finished=1.0)
    write_record(cell.folder, record)
    write_ticket(cell.folder, Ticket("1", 2.0, "/jobs/1/1_log.err"))
    Submission("slurm", PARAMS).wait({"1": (cell, None)}, poll=0.01)
    ended = read_record(cell.folder)
    assert ended is not None
    assert ended.failure is not None
    assert ended.failure.reason == "job 1 ended without a word; its output is in /jobs/1/1_log.err"
