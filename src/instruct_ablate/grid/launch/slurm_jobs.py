"""Cells as submitit's jobs: on Slurm, or in processes of this machine; pre-empted jobs go on from a checkpoint."""

from __future__ import annotations

import contextlib
import logging
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.after.post_mortem import record_killed
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record, record_fault
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.grid.launch.slurm_end import how_it_ended
from instruct_ablate.grid.launch.slurm_queue import SlurmSilentError, Ticket, queue, read_ticket, write_ticket
from instruct_ablate.grid.launch.snapshot import own_files, search_path, snapshot
from instruct_ablate.grid.launch.submitit_internals import terminate
from instruct_ablate.plural import counted
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell

log = logging.getLogger(__name__)
POLL = 2.0  # seconds between two looks at the queue
LONGEST = 60.0  # the same while Slurm does not answer
TAKE_OVER = 120.0  # seconds that a requeued job waits for the death of its predecessor to show
EARLY = 60  # seconds by which Slurm may send the signal before its time (sbatch's manual, --signal)
_COMMON = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name")


class CellJob:
    """What submitit pickles: runs one cell, and asks for a new turn when its time is up."""

    def __call__(self, config: Config) -> str:
        """Run the cell; what stops it is handled by the cell itself, submitit hears of it afterwards."""
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        requeue = signal.getsignal(signal.SIGUSR2)
        for number in (signal.SIGUSR2, signal.SIGTERM):  # the cell writes its checkpoint on both
            signal.signal(number, signal.SIG_DFL)
        record = _run(config)
        told = record.state == "interrupted" and any("SIGUSR2" in note for note in record.notes)
        if told and callable(requeue):
            requeue(signal.SIGUSR2, None)  # submitit's: puts the job back into the queue, and exits
        return record.state

    def checkpoint(self, config: Config) -> Any:
        """Return what the requeued job does: the same; the cell's own checkpoint says where to go on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, config)


def _run(config: Config) -> CellRecord:
    """Run the cell; a job that was requeued waits until its predecessor counts as dead."""
    from instruct_ablate.cell.run.runner import run_cell

    give_up = time.monotonic() + TAKE_OVER
    while (record := run_cell(config)).state == "running" and time.monotonic() < give_up:
        time.sleep(POLL)
    return record


@dataclass(frozen=True)
class QueuedJob:
    """A job that an earlier command queued: all that is needed of submitit's."""

    job_id: str

    def cancel(self, check: bool) -> None:
        """Take it out of the queue; a running one stops after its checkpoint."""
        subprocess.run(["scancel", self.job_id], check=check, timeout=30)


class Submission:
    """The jobs of one sweep."""

    def __init__(self, cluster: str, params: Mapping[str, Any]) -> None:
        self._cluster, self._params = cluster, dict(params)
        self._told = ""
        self._unanswered = 0  # times in a row
        self._before: dict[str, CellRecord | None] = {}  # by job: the cell's record when it was queued

    def submit(self, cells: Sequence[Cell]) -> dict[str, tuple[Cell, Any]]:
        """Queue one job a cell (an array on Slurm) and note it in the cell's folder; return them by id."""
        study = cells[0].folder.parent if cells else Path()
        code = snapshot(study) if cells else Path()
        executor = self._executor(code)
        configs = [_with_own_files(cell.config, study) for cell in cells]
        # Read before they are queued: a job of this machine starts at once, and may have ended by the time we look.
        before = [read_record(cell.folder, cell.identity.hash) for cell in cells]
        with _one_line(self._cluster):
            jobs = executor.map_array(CellJob(), configs)
        for cell, job in zip(cells, jobs, strict=True):
            ticket = Ticket(job.job_id, time.time(), str(job.paths.stderr), self._cluster, str(code))
            write_ticket(cell.folder, ticket)
            log.info("%s: queued as job %s", cell.identity.name, job.job_id)
        self._before |= {job.job_id: record for job, record in zip(jobs, before, strict=True)}
        return {job.job_id: (cell, job) for cell, job in zip(cells, jobs, strict=True)}

    def take_up(self, cells: Sequence[Cell]) -> dict[str, tuple[Cell, Any]]:
        """Return the jobs that an earlier command queued for these cells, by id."""
        found = ((cell, read_ticket(cell.folder)) for cell in cells)
        jobs = {one.job: (cell, QueuedJob(one.job)) for cell, one in found if one is not None}
        self._before |= {job: read_record(cell.folder, cell.identity.hash) for job, (cell, _) in jobs.items()}
        return jobs

    def wait(self, jobs: Mapping[str, tuple[Cell, Any]], poll: float = POLL) -> None:
        """Wait until the jobs are over; the disk says how each one ended."""
        since, open_ = time.time(), dict(jobs)
        while open_:
            time.sleep(min(poll * 2**self._unanswered, max(poll, LONGEST)))
            for job in self._over(open_):
                cell = open_.pop(job)[0]
                if (
                    self._ended(cell, job, _submitted(cell, job) or since) == "failed"
                    and cell.config.fail_fast
                ):
                    self.cancel(open_)
                    raise SystemExit(1)

    def cancel(self, jobs: Mapping[str, tuple[Cell, Any]]) -> None:
        """Take jobs out of the queue; running ones stop after their checkpoint."""
        for _, job in jobs.values():
            if self._cluster == "slurm":
                job.cancel(check=False)
            else:
                terminate(job)

    def _over(self, jobs: Mapping[str, tuple[Cell, Any]]) -> list[str]:
        """Return the jobs that are over; none where Slurm does not say, which is asked ever more rarely."""
        if self._cluster != "slurm":
            return [name for name, (_, job) in jobs.items() if job.done()]
        try:
            states = queue()
        except SlurmSilentError as silent:
            # The exponent of a power of two: beyond this one the wait is LONGEST anyway.
            self._unanswered = min(self._unanswered + 1, 10)
            self._say(f"Slurm does not answer ({silent.why}); the jobs are waited for")
            return []
        self._unanswered = 0
        self._say(_waiting(states, jobs) or "no job left in the queue")
        return [name for name in jobs if name not in states]

    def _say(self, text: str) -> None:
        """Log what is new."""
        if text != self._told:
            self._told = text
            log.info("%s", text)

    def _ended(self, cell: Cell, job: str, since: float) -> str:
        record = read_record(cell.folder, cell.identity.hash)
        if self._silent(cell, job, record, since):
            ticket = read_ticket(cell.folder) or Ticket(job, since, "", self._cluster)
            record_killed(cell.folder, cell.identity, how_it_ended(ticket), since)
        record = read_record(cell.folder, cell.identity.hash)
        state = record.state if record else "missing"
        why = f" ({record.failure.reason})" if record and state == "failed" and record.failure else ""
        log.info("%s: %s%s", cell.identity.name, state, why)
        return state

    def _silent(self, cell: Cell, job: str, record: CellRecord | None, since: float) -> bool:
        """Tell whether a job ended without a word in the record: killed at work, or before it took the cell."""
        if record is None:
            return read_record(cell.folder) is None and record_fault(cell.folder) is None
        if record.state == "failed":
            return record == self._before.get(job)
        return record.state == "interrupted" and record.finished < since

    def _executor(self, code: Path) -> Any:
        import submitit

        check_limits(self._cluster, self._params)
        params = {name: value for name, value in self._params.items() if value is not None}
        if self._cluster == "slurm":  # a process of this machine is started at once, with the code of now
            path = shlex.quote(str(search_path(code).absolute()))
            params["setup"] = [
                # No colon behind it where PYTHONPATH is empty: Python would take that for the working directory.
                f"export PYTHONPATH={path}${{PYTHONPATH:+:$PYTHONPATH}}",
                *params.get("setup", ()),
            ]
        if not isinstance(folder := params.pop("submitit_folder", None), str):
            raise UserError(
                f"hydra.launcher.submitit_folder={folder}: give the folder of the jobs' logs, as conf/hydra/launcher/"
                f"submitit_{self._cluster}.yaml does"
            )
        limit = {f"{self._cluster}_max_num_timeout": params.pop("max_num_timeout", 0)}
        try:
            executor = submitit.AutoExecutor(folder=Path(folder), cluster=self._cluster, **limit)
            executor.update_parameters(
                **{
                    name if name in _COMMON else f"{self._cluster}_{name}": value
                    for name, value in params.items()
                }
            )
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            raise UserError(f"hydra/launcher=submitit_{self._cluster}: {in_a_line(error)}") from error
        return executor


def check_limits(cluster: str, params: Mapping[str, Any]) -> None:
    """Refuse numbers that no job can run with; for Slurm, a time limit of 0 is none at all."""
    for name in ("timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "mem_gb", "array_parallelism"):
        value = params.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or value <= 0
        ):
            raise UserError(f"hydra.launcher.{name}={value}: a number above 0, or null (submitit_{cluster})")
    limit, delay = params.get("timeout_min"), params.get("signal_delay_s")
    if limit is not None and isinstance(delay, int | float) and limit * 60 <= delay + EARLY:
        raise UserError(
            f"hydra.launcher.timeout_min={limit} with signal_delay_s={delay}: cells would be told to stop as they "
            f"start, for Slurm sends the signal so many seconds before the limit, and up to {EARLY} earlier. Give "
            f"more than {(delay + EARLY) / 60:g} minutes, or a smaller hydra.launcher.signal_delay_s."
        )


@contextlib.contextmanager
def _one_line(cluster: str) -> Iterator[None]:
    """Turn sbatch's refusal into one line."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        yield
    except (FailedJobError, FailedSubmissionError, OSError, subprocess.SubprocessError) as error:
        said = in_a_line(error, 500)
        raise UserError(f"hydra/launcher=submitit_{cluster}: the jobs were refused: {said}") from error


def _with_own_files(config: Config, study: Path) -> Config:
    """Let a job load the user's own files as they are now."""
    return replace(config, extensions=own_files(study, config.extensions))


def _waiting(states: Mapping[str, str], jobs: Iterable[str]) -> str:
    """Say what Slurm does with the jobs: `2 RUNNING, 1 PENDING (Resources)`."""
    count = Counter(states[job] for job in jobs if job in states)
    return ", ".join(f"{number} {state}" for state, number in sorted(count.items(), reverse=True))


def run_submitted(cluster: str, params: Mapping[str, Any], cells: Sequence[Cell]) -> None:
    """Queue the cells and wait for them; with `detach` return once they are queued."""
    from omegaconf import OmegaConf

    plain = {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for name, value in params.items()
    }
    submission = Submission(cluster, plain)
    jobs = submission.submit(cells)
    if cells[0].config.detach:
        log.info("%s queued; `instruct-ablate status` shows them", counted(len(jobs), "job"))
        return
    _wait(submission, jobs, cluster)


def wait_for_queued(cells: Sequence[Cell]) -> None:
    """Wait for the Slurm jobs that an earlier command queued for these cells."""
    submission = Submission("slurm", {})
    log.info("waiting for %d queued by an earlier command; Ctrl-C leaves them in the queue", len(cells))
    _wait(submission, submission.take_up(cells), "slurm")


def _wait(submission: Submission, jobs: Mapping[str, tuple[Cell, Any]], cluster: str) -> None:
    """Wait for jobs; Ctrl-C leaves them to Slurm, and ends those of this machine."""
    try:
        submission.wait(jobs)
    except KeyboardInterrupt:
        if cluster == "slurm":
            # scancel takes an array's own number for all of its parts.
            arrays = dict.fromkeys(job.partition("_")[0] for job in jobs)
            log.warning("the jobs go on without this command; `scancel %s` ends them", " ".join(arrays))
        else:
            submission.cancel(jobs)
        raise


def _submitted(cell: Cell, job: str) -> float | None:
    """Return when a cell's job was queued; None where its folder knows nothing of that job."""
    ticket = read_ticket(cell.folder)
    return ticket.submitted if ticket is not None and ticket.job == job else None
