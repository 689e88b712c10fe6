"""Cells that wait in a queue: which job a cell belongs to, and what Slurm says of it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.state.record_file import CorruptRecordError, from_json, to_json
from instruct_ablate.whole_files import write_whole

TICKET = "queue.json"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The job that was queued for a cell."""

    job: str  # Slurm's id; of an array's part: 12_3
    submitted: float
    output: str  # where the job's own output goes


def write_ticket(folder: Path, ticket: Ticket) -> None:
    """Note in the cell's folder that a job is queued for it."""
    write_whole(folder / TICKET, to_json(ticket), durable=False)


def read_ticket(folder: Path) -> Ticket | None:
    """Read which job was queued for a cell last."""
    try:
        return from_json((folder / TICKET).read_text(encoding="utf-8"), Ticket)
    except (OSError, CorruptRecordError):
        return None


def tickets(folders: Iterable[Path]) -> dict[Path, Ticket]:
    """Read the tickets of those cells that have one."""
    found = ((folder, read_ticket(folder)) for folder in folders)
    return {folder: ticket for folder, ticket in found if ticket is not None}


def queue() -> Mapping[str, str]:
    """Return Slurm's jobs of this user that are not over, by id: RUNNING, PENDING (why); none without Slurm."""
    words = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T (%r)"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
        lines = [line.strip().replace(" (None)", "") for line in told.splitlines() if "|" in line]
        return dict(line.split("|", 1) for line in lines)
    return {}


def queued(folders: Iterable[Path]) -> dict[Path, str]:
    """Return the cells whose job is still in the queue or running, with its state; Slurm is asked once."""
    known = tickets(folders)
    states = queue() if known else {}
    return {folder: states[ticket.job] for folder, ticket in known.items() if ticket.job in states}
