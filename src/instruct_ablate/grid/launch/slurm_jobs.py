"""Cells as submitit's jobs: on Slurm, or in processes of this machine; pre-empted jobs go on from a checkpoint."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instruct_ablate.cell.after.post_mortem import record_killed
from instruct_ablate.cell.state.record import CellRecord
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch.slurm_queue import Ticket, queue, write_ticket
from instruct_ablate.grid.launch.submitit_internals import terminate
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell

log = logging.getLogger(__name__)
POLL = 2.0  # seconds between two looks at the queue
TAKE_OVER = 120.0  # seconds that a requeued job waits for the death of its predecessor to show
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


class Submission:
    """The jobs of one sweep."""

    def __init__(self, cluster: str, params: Mapping[str, Any]) -> None:
        self._cluster, self._params = cluster, dict(params)
        self._told = ""

    def submit(self, cells: Sequence[Cell]) -> dict[str, tuple[Cell, Any]]:
        """Queue one job a cell (an array on Slurm) and note it in the cell's folder; return them by id."""
        executor = self._executor()
        jobs = executor.map_array(CellJob(), [cell.config for cell in cells])
        for cell, job in zip(cells, jobs, strict=True):
            write_ticket(cell.folder, Ticket(job.job_id, time.time(), str(job.paths.stderr)))
            log.info("%s: queued as job %s", cell.identity.name, job.job_id)
        return {job.job_id: (cell, job) for cell, job in zip(cells, jobs, strict=True)}

    def wait(self, jobs: Mapping[str, tuple[Cell, Any]], poll: float = POLL) -> None:
        """Wait until the jobs are over; the disk says how each one ended."""
        since, open_ = time.time(), dict(jobs)
        while open_:
            time.sleep(poll)
            for job in self._over(open_):
                cell = open_.pop(job)[0]
                if self._ended(cell, job, since) == "failed" and cell.config.fail_fast:
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
        if self._cluster == "slurm":
            states = queue()
            if (waiting := _waiting(states, jobs)) != self._told:
                self._told = waiting
                log.info("%s", waiting or "no job left in the queue")
            return [name for name in jobs if name not in states]
        return [name for name, (_, job) in jobs.items() if job.done()]

    def _ended(self, cell: Cell, job: str, since: float) -> str:
        reason = f"job {job} ended without a word; its output is under {self._params['submitit_folder']}"
        record = read_record(cell.folder, cell.identity.hash)
        if record is not None and record.state == "interrupted" and record.finished < since:
            record_killed(cell.folder, cell.identity, reason, since)
        record = read_record(cell.folder, cell.identity.hash)
        state = record.state if record else "missing"
        log.info("%s: %s", cell.identity.name, state)
        return state

    def _executor(self) -> Any:
        import submitit

        params = {name: value for name, value in self._params.items() if value is not None}
        folder = Path(params.pop("submitit_folder"))
        limit = {f"{self._cluster}_max_num_timeout": params.pop("max_num_timeout", 0)}
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self._cluster, **limit)
            executor.update_parameters(
                **{
                    name if name in _COMMON else f"{self._cluster}_{name}": value
                    for name, value in params.items()
                }
            )
        except (RuntimeError, ValueError, NameError) as error:
            raise UserError(f"hydra/launcher=submitit_{self._cluster}: {error}") from error
        return executor


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
        log.info("%d jobs queued; `instruct-ablate status` shows them", len(jobs))
        return
    try:
        submission.wait(jobs)
    except KeyboardInterrupt:
        if cluster == "slurm":
            first = next(iter(jobs)).partition("_")[0]
            log.warning("the jobs go on without this command; `scancel %s` ends them", first)
        else:
            submission.cancel(jobs)
        raise
