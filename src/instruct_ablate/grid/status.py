"""The cells of a study by state: how many, how far, where, and what went wrong last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from instruct_ablate.cell.state.heartbeat import Beat, read_beat
from instruct_ablate.cell.state.lock import holder
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.disk import learning_curve
from instruct_ablate.disk.learning_curve import read_curve
from instruct_ablate.grid.launch.slurm_end import OUT_OF_MEMORY, out_of_memory
from instruct_ablate.grid.launch.slurm_queue import read_ticket, seen_queued
from instruct_ablate.grid.launch.slurm_reasons import in_words
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.plural import counted

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SHOWN = ("running", "queued", "failed", "interrupted", "unreadable", "other format", "missing", "done")
_STYLES = {
    "running": "cyan", "queued": "blue", "failed": "red", "interrupted": "yellow", "other format": "magenta",
    "unreadable": "magenta",
    "missing": "dim", "done": "green",
}  # fmt: skip
RECENT = 20  # training steps over which speed is averaged


@dataclass(frozen=True, slots=True)
class CellStatus:
    """One line of the table."""

    name: str
    state: str  # a record's state, or queued
    progress: str = ""
    speed: str = ""
    seconds: float = 0.0
    left: float = 0.0  # seconds that the stage still takes
    host: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a running cell is in its stage, and how fast."""

    progress: str
    speed: str = ""
    left: float = 0.0


def cell_statuses(study: Study) -> tuple[CellStatus, ...]:
    """Return what is known of each cell, running ones first."""
    waiting = seen_queued([study.folder / record.name for record in study.cells if record.state != "done"])
    lines = [_status(study.folder / record.name, record, waiting) for record in study.cells]
    return tuple(sorted(lines, key=lambda line: SHOWN.index(line.state)))


def _status(folder: Path, record: CellRecord, waiting: Mapping[Path, str]) -> CellStatus:
    host = record.environment.host if record.environment else ""
    seconds = max(0.0, record.finished - record.started)
    error = record.failure.reason if record.failure and record.state != "done" else ""
    if record.state == "running":
        return _running(folder, record, error)
    note = (
        record.notes[0]
        if record.state in ("interrupted", "unreadable", "other format") and record.notes
        else ""
    )
    if folder in waiting and (ticket := read_ticket(folder)) is not None:
        before = f"; {note}" if note else ""
        progress = f"queued (job {ticket.job}: {in_words(waiting[folder])}){before}"
        return CellStatus(record.name, "queued", progress, seconds=seconds, error=error)
    if record.state in ("interrupted", "missing") and _out_of_memory(folder, record):
        error = OUT_OF_MEMORY
    return CellStatus(record.name, record.state, note, seconds=seconds, host=host, error=error)


def _out_of_memory(folder: Path, record: CellRecord) -> bool:
    """Tell whether the job that ran the cell last, and was not waited for, was killed for its memory."""
    ticket = read_ticket(folder)
    if ticket is None or (record.state != "missing" and record.started < ticket.submitted):
        return False
    return out_of_memory(ticket)


def _running(folder: Path, record: CellRecord, error: str) -> CellStatus:
    beat, owner = read_beat(folder), holder(folder)
    if beat is None:
        return CellStatus(record.name, "running", host=owner.host if owner else "", error=error)
    pace = _training(folder, beat) if beat.stage == "train" else _testing(beat)
    seconds = beat.time - record.started
    return CellStatus(
        record.name, "running", pace.progress, pace.speed, seconds, pace.left, beat.owner.host, error
    )


def _training(folder: Path, beat: Beat) -> Pace:
    """Read the pace from the last rows of the learning curve."""
    rows = [row for row in read_curve(folder / learning_curve.FILE, last=RECENT) if row.keys() >= _PACE]
    if not rows or not beat.total:
        return Pace(f"train {beat.done}/{beat.total}" if beat.total else "train")
    step = int(rows[-1]["step"])
    each = sum(row["seconds"] for row in rows) / len(rows)
    speed = sum(row["tokens_per_second"] for row in rows) / len(rows)
    return Pace(f"train {step}/{beat.total}", f"{speed:,.0f} tokens/s", each * (beat.total - step))


def _testing(beat: Beat) -> Pace:
    if not beat.total:
        return Pace(beat.stage)
    progress = f"{beat.stage} {beat.done}/{beat.total}"
    elapsed = beat.time - beat.since
    if not beat.done or elapsed <= 0:
        return Pace(progress)
    each = elapsed / beat.done
    return Pace(progress, f"{1 / each:.1f} instances/s", each * (beat.total - beat.done))


def status_table(folder: Path) -> Table:
    """Build the table of a study's cells."""
    from instruct_ablate.long_table import LongTable

    study = read_study(folder)
    lines = cell_statuses(study)
    count = Counter(line.state for line in lines)
    told = ", ".join(f"{count[state]} {state}" for state in SHOWN if count[state])
    rows = [_row(line) for line in lines]
    shown = [place for place in range(len(_HEADINGS)) if any(row[place].plain for row in rows)]
    table = LongTable(title=f"{study.name}: {counted(len(lines), 'cell')} ({told})", title_justify="left")
    for place in shown:
        table.add_column(_HEADINGS[place], no_wrap=_HEADINGS[place] == "state", overflow="fold")
    for row in rows:
        table.add_row(*(row[place] for place in shown))
    return table


_PACE = {"seconds", "tokens_per_second"}
_HEADINGS = ("cell", "state", "progress", "speed", "time", "left", "host", "last error")


def _row(line: CellStatus) -> tuple[Text, ...]:
    from rich.text import Text

    state = Text(line.state, style=_STYLES[line.state])
    told = (line.progress, line.speed, _clock(line.seconds), _clock(line.left), line.host)
    return (Text(line.name), state, *map(Text, told), Text(line.error.partition("\n")[0][:200]))


def _clock(seconds: float) -> str:
    """Write a duration as h:mm:ss."""
    if seconds <= 0:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
