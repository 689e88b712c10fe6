"""What a study's folder holds that nobody needs any more: found, told, and removed on request."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.cell.state.store import read_record, running_by
from instruct_ablate.errors import UserError
from instruct_ablate.grid.study import read_study

STALE = 3600.0  # seconds after which a temporary file belongs to nobody


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that can go, and why."""

    path: Path
    why: str
    size: int


def leftovers(study: Path, quarantined: bool = False) -> list[Leftover]:
    """List what can go; nothing of a running cell, and of an interrupted one nothing that it resumes from."""
    read_study(study)  # refuses what is no study
    found = list(_temporary(study, study.glob(".*.tmp")))
    for cell in sorted(path for path in study.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if running_by(cell) is None:
            found += _of_cell(cell, quarantined)
    return found


def _of_cell(cell: Path, quarantined: bool) -> Iterator[Leftover]:
    record = read_record(cell)
    if record is not None and record.state == "done" and (cell / "checkpoints").is_dir():
        yield _leftover(cell / "checkpoints", "checkpoints of a done cell")
    else:
        for path in sorted(cell.glob("checkpoints/*.damaged")):
            yield _leftover(path, "damaged checkpoint")
    if record is not None and record.state == "done":
        for path in sorted(cell.glob("predictions/*.partial*")):
            yield _leftover(path, "unfinished predictions of a done cell")
    yield from _temporary(
        cell, (*cell.glob(".*"), *cell.glob("predictions/.*"), *cell.glob("checkpoints/*.tmp"))
    )
    if quarantined:
        for path in sorted(cell.glob("record.corrupt-*.json")):
            yield _leftover(path, "quarantined record")


def _temporary(folder: Path, paths: Iterator[Path] | Sequence[Path]) -> Iterator[Leftover]:
    for path in sorted(paths):
        if path.is_file() and time.time() - path.stat().st_mtime > STALE:
            yield _leftover(path, "temporary file of a process that is gone")


def remove(found: Sequence[Leftover]) -> int:
    """Remove what was found; return the bytes that are free now."""
    freed = 0
    for leftover in found:
        try:
            if leftover.path.is_dir():
                shutil.rmtree(leftover.path)
            else:
                leftover.path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot remove {leftover.path}: {error.strerror}") from error
        freed += leftover.size
    return freed


def _leftover(path: Path, why: str) -> Leftover:
    files = path.rglob("*") if path.is_dir() else [path]
    return Leftover(path, why, sum(file.stat().st_size for file in files if file.is_file()))
