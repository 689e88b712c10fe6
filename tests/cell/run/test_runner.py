from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instruct_ablate.cell.run.job import Job, Outcome
from instruct_ablate.cell.run.runner import run_cell
from instruct_ablate.cell.state.identity import identify
from instruct_ablate.cell.state.lock import acquire, holder
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import Interrupted, UserError
from tests.standins import make_config, replace_inputs, work

CONTEXT = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_inputs(monkeypatch)


def folder_of(tmp_path: Path) -> Path:
    config = make_config(tmp_path)
    return tmp_path / config.study / identify(config).name


def test_a_cell_ends_done_with_all_its_files(tmp_path: Path) -> None:
    record = run_cell(make_config(tmp_path), work)
    assert record.state == "done"
    assert record.notes == ("a note",)
    assert record.environment is not None
    assert record.finished >= record.started > 0
    assert read_record(folder_of(tmp_path), record.identity) == record
    names = {path.name for path in folder_of(tmp_path).iterdir()}
    assert names == {"config.yaml", "identity.json", "record.json", "log.txt", "lock-1"}


def test_while_it_runs_the_disk_says_so(tmp_path: Path) -> None:
    seen: list[CellRecord | None] = []

    def look(job: Job) -> Outcome:
        seen.append(read_record(job.folder))
        assert (job.folder / "heartbeat").exists()
        return work(job)

    run_cell(make_config(tmp_path), look)
    assert seen[0] is not None
    assert seen[0].state == "running"


def test_a_done_cell_is_not_run_again(tmp_path: Path) -> None:
    first = run_cell(make_config(tmp_path), work)

    def never(job: Job) -> Outcome:
        raise AssertionError

    assert run_cell(make_config(tmp_path), never) == first


def test_a_fault_ends_in_the_record_with_its_traceback(tmp_path: Path) -> None:
    def breaks(job: Job) -> Outcome:
        raise ValueError("odd number")

    record = run_cell(make_config(tmp_path), breaks)
    assert record.state == "failed"
    assert record.failure is not None
    assert record.failure.reason == "ValueError: odd number"
    assert "in breaks" in record.failure.traceback
    again = run_cell(make_config(tmp_path), breaks)
    assert again.failure is not None
    assert again.failure.attempts == 2
    assert run_cell(make_config(tmp_path), work).state == "done"


def test_a_users_mistake_is_told_without_traceback(tmp_path: Path) -> None:
    def refuses(job: Job) -> Outcome:
        raise UserError("the prompt is too odd")

    record = run_cell(make_config(tmp_path), refuses)
    assert record.failure is not None
    assert (record.failure.reason, record.failure.traceback) == ("the prompt is too odd", "")


@pytest.mark.parametrize(
    ("error", "lasting"), [(UserError("the loss became nan"), True), (OSError("gone"), False)]
)
def test_a_record_says_whether_the_same_command_would_fail_so_again(
    tmp_path: Path, error: Exception, lasting: bool
) -> None:
    def fails(job: Job) -> Outcome:
        raise error

    record = run_cell(make_config(tmp_path), fails)
    assert record.failure is not None
    assert record.failure.lasting is lasting
    assert read_record(folder_of(tmp_path)) == record


def test_an_interrupted_cell_goes_on_later(tmp_path: Path) -> None:
    def stops(job: Job) -> Outcome:
        raise Interrupted("SIGTERM")

    assert run_cell(make_config(tmp_path), stops).state == "interrupted"
    assert run_cell(make_config(tmp_path), work).state == "done"


def test_ctrl_c_is_written_down_and_goes_on_up(tmp_path: Path) -> None:
    def stops(job: Job) -> Outcome:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cell(make_config(tmp_path), stops)
    record = read_record(folder_of(tmp_path))
    assert record is not None
    assert record.state == "interrupted"
    assert holder(folder_of(tmp_path)) is None


def test_sigterm_interrupts(tmp_path: Path) -> None:
    def told(job: Job) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        return work(job)

    assert run_cell(make_config(tmp_path), told).state == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_cell_that_takes_too_long_fails(tmp_path: Path) -> None:
    def slow(job: Job) -> Outcome:
        time.sleep(5)
        return work(job)

    record = run_cell(make_config(tmp_path, cell_timeout=0.1 / 3600), slow)
    assert record.state == "failed"
    assert record.failure is not None
    assert "cell_timeout" in record.failure.reason


def test_a_corrupt_record_is_put_aside_and_the_cell_run_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(tmp_path).mkdir(parents=True)
    (folder_of(tmp_path) / "record.json").write_text("{")
    assert run_cell(make_config(tmp_path), work).state == "done"
    assert (folder_of(tmp_path) / "record.corrupt-1.json").read_text() == "{"
    assert "put aside" in caplog.text


def test_what_is_logged_is_in_the_cells_own_file(tmp_path: Path) -> None:
    def talks(job: Job) -> Outcome:
        logging.getLogger("x").warning("hello from the cell")
        return work(job)

    run_cell(make_config(tmp_path), talks)
    assert "hello from the cell" in (folder_of(tmp_path) / "log.txt").read_text()


def test_a_cell_that_another_process_runs_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(tmp_path).mkdir(parents=True)
    acquire(folder_of(tmp_path))
    record = run_cell(make_config(tmp_path), work)
    assert record.state == "missing"
    assert f"is being run by process {os.getpid()}" in caplog.text


def test_a_full_disk_at_the_end_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(job: Job) -> Outcome:
        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(os, "fsync", full)
        return work(job)

    record = run_cell(make_config(tmp_path), fill)
    assert record.state == "failed"
    assert record.failure is not None
    assert "disk is full" in record.failure.reason
    monkeypatch.undo()
    replace_inputs(monkeypatch)
    on_disk = read_record(folder_of(tmp_path))
    assert on_disk is not None
    assert on_disk.state == "interrupted"
    assert run_cell(make_config(tmp_path), work).state == "done"


def _count(counter: Any) -> Any:
    def slow(job: Job) -> Outcome:
        with counter.get_lock():
            counter.value += 1
        time.sleep(0.5)
        return work(job)

    return slow


def test_two_processes_never_run_one_cell(tmp_path: Path) -> None:
    counter = CONTEXT.Value("i", 0)
    config = make_config(tmp_path)
    processes = [CONTEXT.Process(target=run_cell, args=(config, _count(counter))) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counter.value == 1
    assert run_cell(config, work).state == "done"


def test_a_cell_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    def hangs(job: Job) -> Outcome:
        time.sleep(60)
        return work(job)

    process = CONTEXT.Process(target=run_cell, args=(make_config(tmp_path), hangs))
    process.start()
    while read_record(folder_of(tmp_path)) is None:
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    record = read_record(folder_of(tmp_path))
    assert record is not None
    assert record.state == "interrupted"
    done = run_cell(make_config(tmp_path), work)
    assert done == replace(done, state="done")


def breaks(job: Job) -> Outcome:
    raise RuntimeError("it broke here")


def test_a_traceback_is_in_the_cells_log_and_not_on_the_terminal(tmp_path: Path) -> None:
    told: list[str] = []
    terminal = logging.Handler()
    terminal.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(terminal)
    try:
        record = run_cell(make_config(tmp_path), breaks)
    finally:
        logging.getLogger().removeHandler(terminal)
    assert "in breaks" in (tmp_path / "ablation" / record.name / "log.txt").read_text()
    assert [line for line in told if "it broke here" in line] == [
        f"{record.name} failed: RuntimeError: it broke here"
    ]


def test_a_fault_is_raised_where_it_happens_when_asked_for_and_recorded_all_the_same(tmp_path: Path) -> None:
    config = make_config(tmp_path, raise_faults=True)
    with pytest.raises(RuntimeError, match="it broke here") as caught:
        run_cell(config, breaks)
    assert "breaks" in [frame.name for frame in caught.traceback]
    (path,) = tmp_path.glob("ablation/*/record.json")
    record = read_record(path.parent)
    assert record is not None
    assert record.state == "failed"
