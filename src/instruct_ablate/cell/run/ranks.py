"""Several processes on one cell (torchrun, srun): the first one keeps the record, the others only train with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import read_record

_CAME_UP = time.time()
POLL = 0.2  # seconds between two looks at the record


def follow(
    find: Callable[[], Path], identity: str, work: Callable[[Path], None], poll: float = POLL
) -> CellRecord:
    """Work along with the first process: begin when it has begun, return when it has ended.

    `find` says where the cell is. Until it has begun that is asked again and again: the first process writes the
    study's list, which has the readable names of its folders, and this one may be here before it.
    """
    folder, record = _when(find, identity, lambda record: record.state == "running" or _ended(record), poll)
    if record.state == "running":
        work(folder)
        _, record = _when(lambda: folder, identity, lambda record: record.state != "running", poll)
    return record


def _ended(record: CellRecord) -> bool:
    """Whether the cell ended in this run; a failure of an earlier command is about to be tried again."""
    return record.state == "done" or record.finished >= _CAME_UP


def _when(
    find: Callable[[], Path], identity: str, reached: Callable[[CellRecord], bool], poll: float
) -> tuple[Path, CellRecord]:
    while (record := read_record(folder := find(), identity)) is None or not reached(record):
        time.sleep(poll)
    return folder, record
