from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from instruct_ablate.cell.after.post_mortem import record_killed
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
    monkeypatch.setattr("instruct_ablate.grid.launch.slurm_end._told", lambda ticket: ("", 0))


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


@pytest.mark.parametrize("former", [None, "failed"])
def test_a_job_killed_before_it_took_the_cell_is_a_failure_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, former: str | None
) -> None:
    """As a memory limit does that is reached by the imports: the record stays as it was."""
    monkeypatch.setattr(submitted, "queue", dict)
    config = make_config(tmp_path)
    cell = Cell((), config, identify(config))
    if former:
        record_killed(cell.folder, cell.identity, "an earlier end", 1.0)
    submission = Submission("slurm", PARAMS)
    submission._before["1"] = read_record(cell.folder)
    write_ticket(cell.folder, Ticket("1", time.time(), "/jobs/1/1_log.err"))
    submission.wait({"1": (cell, None)}, poll=0.01)
    record = read_record(cell.folder)
    assert record is not None
    assert record.state == "failed"
    assert record.failure is not None
    assert record.failure.reason == "job 1 ended without a word; its output is in /jobs/1/1_log.err"
    assert record.failure.attempts == (2 if former else 1)


def test_a_failure_that_the_job_itself_told_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitted, "queue", dict)
    config = make_config(tmp_path)
    cell = Cell((), config, identify(config))
    submission = Submission("slurm", PARAMS)
    submission._before["1"] = None
    record_killed(cell.folder, cell.identity, "told by the cell", 1.0)
    submission.wait({"1": (cell, None)}, poll=0.01)
    record = read_record(cell.folder)
    assert record is not None
    assert record.failure is not None
    assert record.failure.reason == "told by the cell"


def test_a_record_that_cannot_be_read_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitted, "queue", dict)
    config = make_config(tmp_path)
    cell = Cell((), config, identify(config))
    cell.folder.mkdir(parents=True)
    (cell.folder / "record.json").write_text("{")
    Submission("slurm", PARAMS).wait({"1": (cell, None)}, poll=0.01)
    assert (cell.folder / "record.json").read_text() == "{"


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


class Submitted:
    """In a submission's place: notes what it is told; waiting ends in an interrupt where `stopped`."""

    def __init__(self, stopped: bool = False) -> None:
        self.told: list[tuple[str, Any]] = []
        self.stopped = stopped

    def __call__(self, cluster: str, params: dict[str, Any]) -> Submitted:
        self.told.append((cluster, params))
        return self

    def submit(self, cells: Any) -> dict[str, Any]:
        self.told.append(("submit", len(cells)))
        return {"12_0": "first", "12_1": "second"}

    def wait(self, jobs: dict[str, Any]) -> None:
        self.told.append(("wait", list(jobs)))
        if self.stopped:
            raise KeyboardInterrupt

    def cancel(self, jobs: dict[str, Any]) -> None:
        self.told.append(("cancel", list(jobs)))


def submitted_cells(folder: Path, **changes: Any) -> list[Cell]:
    config = make_config(folder, **changes)
    return [Cell((), config, identify(config))]


def test_a_detached_command_returns_once_its_jobs_are_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for detach, last in ((True, "submit"), (False, "wait")):
        one = Submitted()
        monkeypatch.setattr(submitted, "Submission", one)
        submitted.run_submitted(
            "slurm", {"setup": OmegaConf.create(["a"])}, submitted_cells(tmp_path, detach=detach)
        )
        assert one.told[0] == ("slurm", {"setup": ["a"]})
        assert one.told[-1][0] == last
    assert caplog.messages == ["2 jobs queued; `instruct-ablate status` shows them"]


@pytest.mark.parametrize(("cluster", "last"), [("slurm", "wait"), ("local", "cancel")])
def test_jobs_of_slurm_go_on_without_the_command_and_others_end_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cluster: str, last: str
) -> None:
    one = Submitted(stopped=True)
    monkeypatch.setattr(submitted, "Submission", one)
    with pytest.raises(KeyboardInterrupt):
        submitted.run_submitted(cluster, {}, submitted_cells(tmp_path))
    assert one.told[-1] == (last, ["12_0", "12_1"])
    assert ("`scancel 12` ends them" in caplog.text) is (cluster == "slurm")


@pytest.mark.parametrize(
    "name", ["timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "mem_gb", "array_parallelism"]
)
def test_limits_are_numbers_above_zero_or_none(name: str) -> None:
    for value in (1, 0.5, None):
        submitted.check_limits("slurm", {name: value, "partition": 0})
    for value in (0, -1, True, "1"):
        with pytest.raises(UserError, match=rf"hydra\.launcher\.{name}={value}: a number above 0, or null"):
            submitted.check_limits("slurm", {name: value})


def test_a_time_limit_within_the_signal_s_time_is_refused() -> None:
    """A cell would be told to stop as it starts, again and again."""
    for limit, delay in ((1, 120), (3, 120), (0.5, 0)):
        with pytest.raises(
            UserError, match=rf"timeout_min={limit} with signal_delay_s={delay}: cells would be"
        ):
            submitted.check_limits("slurm", {"timeout_min": limit, "signal_delay_s": delay})
    for limit, delay in ((4, 120), (1, None), (None, 120), (2, 30)):
        submitted.check_limits("slurm", {"timeout_min": limit, "signal_delay_s": delay})


def test_jobs_of_an_earlier_command_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that the earlier command saw interrupted, and that was then taken out of the queue, did not fail."""
    caplog.set_level("INFO")
    cells = [cell for seed in (0, 1) for cell in submitted_cells(tmp_path, seed=seed)]
    for number, cell in enumerate(cells):
        runner.run_cell(cell.config)
        write_ticket(cell.folder, Ticket(f"1{number}_0", 1.0, "/jobs/1_log.err"))
    record = read_record(cells[1].folder)
    assert record is not None
    write_record(cells[1].folder, replace(record, state="interrupted", blocks=(), finished=2.0))
    caplog.clear()
    answers: list[dict[str, str]] = [{"10_0": "RUNNING", "11_0": "PENDING (BeginTime)"}, {}]
    monkeypatch.setattr(submitted, "queue", lambda: answers.pop(0))
    monkeypatch.setattr(submitted.time, "sleep", lambda seconds: None)
    submitted.wait_for_queued(cells)
    assert caplog.messages == [
        "waiting for 2 queued by an earlier command; Ctrl-C leaves them in the queue",
        "1 RUNNING, 1 PENDING (BeginTime)",
        "no job left in the queue",
        f"{cells[0].identity.name}: done",
        f"{cells[1].identity.name}: interrupted",
    ]


def test_jobs_of_an_earlier_command_stay_after_ctrl_c_and_end_with_fail_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cells = [cell for seed in (0, 1) for cell in submitted_cells(tmp_path, seed=seed, fail_fast=True)]
    for number, cell in enumerate(cells):
        write_ticket(cell.folder, Ticket(f"1{number}_0", 1.0, "/jobs/1_log.err"))

    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    cancelled: list[list[str]] = []
    monkeypatch.setattr(submitted.subprocess, "run", lambda words, **_: cancelled.append(words))
    monkeypatch.setattr(submitted.time, "sleep", stopped)
    with pytest.raises(KeyboardInterrupt):
        submitted.wait_for_queued(cells)
    assert "`scancel 10 11` ends them" in caplog.text
    assert cancelled == []
    record_killed(cells[0].folder, cells[0].identity, "killed", 1.0)
    monkeypatch.setattr(submitted.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(submitted, "queue", lambda: {"11_0": "RUNNING"})
    with pytest.raises(SystemExit):
        submitted.wait_for_queued(cells)
    assert cancelled == [["scancel", "11_0"]]


def test_what_slurm_does_with_the_jobs_is_counted() -> None:
    states = {"1": "RUNNING", "2": "PENDING (Resources)", "3": "RUNNING", "4": "RUNNING"}
    assert submitted._waiting(states, ["1", "2", "3", "5"]) == "2 RUNNING, 1 PENDING (Resources)"
    assert submitted._waiting(states, []) == ""


def test_the_queue_is_said_when_it_changes_and_when_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = make_config(tmp_path)
    runner.run_cell(config)
    caplog.clear()
    answers = [{"1": "PENDING (Resources)"}, {"1": "RUNNING"}, {"1": "RUNNING"}, {}]
    monkeypatch.setattr(submitted, "queue", lambda: answers.pop(0))
    monkeypatch.setattr(submitted.time, "sleep", lambda seconds: None)
    cell = Cell((), config, identify(config))
    Submission("slurm", PARAMS).wait({"1": (cell, None)})
    assert caplog.messages == [
        "1 PENDING (Resources)", "1 RUNNING", "no job left in the queue", f"{cell.identity.name}: done"
    ]  # fmt: skip


def test_local_jobs_are_over_when_they_say_so() -> None:
    jobs: Any = {
        name: (None, SimpleNamespace(done=lambda over=over: over))
        for name, over in (("1", True), ("2", False))
    }
    assert Submission("local", PARAMS)._over(jobs) == ["1"]


def test_a_failure_ends_the_others_only_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAIL", "s0")
    (cell,) = submitted_cells(tmp_path)
    assert runner.run_cell(cell.config).state == "failed"
    monkeypatch.setattr(submitted, "queue", dict)
    Submission("slurm", PARAMS).wait({"1": (cell, None)}, poll=0.01)


def test_slurms_jobs_find_the_code_that_was_copied_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[dict[str, Any], dict[str, Any]]] = []

    class Executor:
        def __init__(self, **given: Any) -> None:
            self.given = given

        def update_parameters(self, **given: Any) -> None:
            made.append((self.given, given))

    monkeypatch.setattr("submitit.AutoExecutor", Executor)
    params = {
        "submitit_folder": "jobs", "timeout_min": 5, "partition": "p", "setup": ["module load x"], "mem_gb": None,
        "max_num_timeout": 3, "name": "n",
    }  # fmt: skip
    for cluster in ("slurm", "local"):
        Submission(cluster, params)._executor(tmp_path)
    (slurm, given), (local, plain) = made
    assert slurm == {"folder": Path("jobs"), "cluster": "slurm", "slurm_max_num_timeout": 3}
    assert local == {"folder": Path("jobs"), "cluster": "local", "local_max_num_timeout": 3}
    export, *further = given.pop("slurm_setup")
    assert export.startswith(f"export PYTHONPATH={tmp_path}")
    assert export.endswith("${PYTHONPATH:+:$PYTHONPATH}")
    assert further == ["module load x"]
    assert given == {"timeout_min": 5, "slurm_partition": "p", "name": "n"}
    assert plain == {"timeout_min": 5, "local_partition": "p", "name": "n", "local_setup": ["module load x"]}
