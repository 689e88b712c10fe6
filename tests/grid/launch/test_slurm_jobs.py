from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from instruct_ablate.cell.run import runner
from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.errors import Interrupted, UserError
from instruct_ablate.grid.launch import slurm_jobs as submitted
from instruct_ablate.grid.launch.slurm_jobs import CellJob, Submission
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
