"""A cell whose process ended without a word: recorded as failed by whoever watched over it."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.lock import LockedError, locked
from instruct_ablate.cell.state.record.record import CellRecord, Failure
from instruct_ablate.cell.state.store import missing_record, now, read_record, write_record

TAIL = 2000  # characters of a process's last output that its record keeps


def why(status: int) -> str:
    """Say how a process ended, from its exit status as `subprocess` gives it."""
    if status == -signal.SIGKILL:
        return (
            "killed by SIGKILL, as the kernel does when memory runs out: "
            "lower trainer.micro_batch_tokens or run fewer cells at once"
        )
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"its process ended with exit status {status}"


def record_killed(folder: Path, identity: Identity, reason: str, since: float, output: str = "") -> None:
    """Record that the process which ran a cell from `since` on ended, unless it told the end itself."""
    try:
        with locked(folder):
            record = read_record(folder, identity.hash) or missing_record(identity)
            if not _told(record, since):
                write_record(folder, _failed(record, reason, since, output))
    except LockedError:
        return  # another sweep has taken the cell over meanwhile


def _told(record: CellRecord, since: float) -> bool:
    return record.state == "done" or (record.state in ("failed", "interrupted") and record.finished >= since)


def _failed(record: CellRecord, reason: str, since: float, output: str) -> CellRecord:
    attempts = record.failure.attempts + 1 if record.failure else 1
    failure = Failure(reason, output[-TAIL:], attempts)
    return replace(
        record,
        state="failed",
        failure=failure,
        started=max(record.started, since),
        finished=now(),
    )
