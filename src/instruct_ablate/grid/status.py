"""The cells of a study by state: how many, how far, where, and what went wrong last."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.heartbeat import read_beat
from instruct_ablate.cell.lock import holder
from instruct_ablate.cell.record import CellRecord, State
from instruct_ablate.grid.study import Study, read_study

if TYPE_CHECKING:
    from rich.table import Table

STATES: tuple[State, ...] = ("running", "failed", "interrupted", "missing", "done")
_STYLES = {"running": "cyan", "failed": "red", "interrupted": "yellow", "missing": "dim", "done": "green"}


@dataclass(frozen=True, slots=True)
class CellStatus:
    """One line of the table."""

    name: str
    state: State
    progress: str = ""
    seconds: float = 0.0
    host: str = ""
    error: str = ""


def cell_statuses(study: Study) -> tuple[CellStatus, ...]:
    """Return what is known of each cell, running ones first."""
    lines = [_status(study.folder, record) for record in study.cells]
    return tuple(sorted(lines, key=lambda line: STATES.index(line.state)))


def _status(folder: Path, record: CellRecord) -> CellStatus:
    host = record.environment.host if record.environment else ""
    seconds = max(0.0, record.finished - record.started)
    progress = ""
    if record.state == "running" and (beat := read_beat(folder / record.name)) is not None:
        host, seconds = beat.owner.host, beat.time - record.started
        progress = f"{beat.stage} {beat.done}/{beat.total}" if beat.total else beat.stage
    elif record.state == "running" and (owner := holder(folder / record.name)) is not None:
        host = owner.host
    error = record.failure.reason if record.failure and record.state != "done" else ""
    return CellStatus(record.name, record.state, progress, seconds, host, error)


def status_table(folder: Path) -> Table:
    """Build the table of a study's cells."""
    from rich.table import Table
    from rich.text import Text

    study = read_study(folder)
    count = Counter(record.state for record in study.cells)
    told = ", ".join(f"{count[state]} {state}" for state in STATES if count[state])
    table = Table(title=f"{study.name}: {len(study.cells)} cells ({told})", title_justify="left")
    for heading in ("cell", "state", "progress", "time", "host", "last error"):
        table.add_column(heading)
    for line in cell_statuses(study):
        state = Text(line.state, style=_STYLES[line.state])
        error = Text(line.error.partition("\n")[0][:200])
        table.add_row(Text(line.name), state, line.progress, _clock(line.seconds), line.host, error)
    return table


def _clock(seconds: float) -> str:
    """Write a duration as h:mm:ss."""
    if seconds <= 0:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
