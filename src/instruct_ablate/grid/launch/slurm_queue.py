"""Cells that wait in a queue: which job a cell belongs to, and what Slurm says of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.state.record.record_file import CorruptRecordError, from_json, to_json
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.disk.whole_files import read_plain, write_whole
from instruct_ablate.errors import UserError

TICKET = "queue.json"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The job that was queued for a cell."""

    job: str  # Slurm's id; of an array's part: 12_3
    submitted: float
    output: str  # where the job's own output goes
    cluster: str = "slurm"  # or local: a process of the submitting machine
    code: str = ""  # the copy of this package that the job runs


class SlurmSilentError(UserError):
    """Slurm does not say which jobs it has: which is not to have none."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(
            f"Slurm cannot be asked which jobs are queued or running ({why}): nothing is queued twice on doubt. Try "
            f"again later; where the jobs are known to be gone, remove {TICKET} from their cells' folders."
        )


def write_ticket(folder: Path, ticket: Ticket) -> None:
    """Note in the cell's folder that a job is queued for it."""
    write_whole(folder / TICKET, to_json(ticket), durable=False)


def read_ticket(folder: Path) -> Ticket | None:
    """Read which job was queued for a cell last."""
    try:
        return from_json(read_plain(folder / TICKET).decode(), Ticket)
    except (OSError, UnicodeDecodeError, CorruptRecordError):
        return None


def tickets(folders: Iterable[Path]) -> dict[Path, Ticket]:
    """Read the tickets of those cells that have one."""
    found = ((folder, read_ticket(folder)) for folder in folders)
    return {folder: ticket for folder, ticket in found if ticket is not None}


def queue() -> Mapping[str, str]:
    """Return Slurm's jobs of this user that are not over, by id: RUNNING, PENDING (why)."""
    # Without --array the waiting parts of an array are one line, 12_[3-7], in which no cell's job is found.
    words = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T (%r)"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
    except subprocess.CalledProcessError as error:
        raise SlurmSilentError(
            _line(error.stderr) or f"squeue ended with status {error.returncode}"
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise SlurmSilentError(f"squeue: {type(error).__name__}") from error
    lines = [line.strip().replace(" (None)", "") for line in told.splitlines() if "|" in line]
    return dict(line.split("|", 1) for line in lines)


def queued(folders: Iterable[Path]) -> dict[Path, str]:
    """Return the cells whose job is still in the queue or running, with its state; Slurm is asked once.

    `SlurmSilentError` where it does not answer and some cell's job has not told its end.
    """
    known = {folder: one for folder, one in tickets(folders).items() if one.cluster == "slurm"}
    open_ = {folder: one for folder, one in known.items() if not _ended(folder, one)}
    states = queue() if open_ else {}
    return {folder: states[one.job] for folder, one in open_.items() if one.job in states}


def seen_queued(folders: Sequence[Path]) -> dict[Path, str]:
    """Return the same for those who only look: where Slurm does not answer, that is said of every open job."""
    try:
        return queued(folders)
    except SlurmSilentError as silent:
        known = tickets(folders)
        return {
            folder: f"Slurm cannot be asked: {silent.why}"
            for folder, one in known.items()
            if one.cluster == "slurm" and not _ended(folder, one)
        }


def _ended(folder: Path, ticket: Ticket) -> bool:
    """Whether the cell's record tells that it ended after its job was queued."""
    record = read_record(folder)
    return record is not None and record.state in ("done", "failed") and record.finished >= ticket.submitted


def _line(text: str | None) -> str:
    return " ".join((text or "").split())[:200]
