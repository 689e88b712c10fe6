"""A fit's learning curve on disk: `training.jsonl`, a row of JSON a step; written by the fit, read by all."""

from __future__ import annotations

import json
from pathlib import Path

from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, opened_plain, write_whole

FILE = "training.jsonl"
LOGGED = "train/"  # before the names of a curve's values, for loggers
_FIELDS = {"step"}
_MOST = 1e300  # numbers beyond, and those that are none, are of no row
_LONGEST_ROW = 256  # bytes; rows are about half as long


def read_curve(path: Path, last: int | None = None) -> list[dict[str, float]]:
    """Read a learning curve, or its `last` rows; a row cut short is left out, and no file has no rows."""
    try:
        with opened_plain(path) as file:
            if last is not None:
                # This may be in the midst of a row: what is left of it reads as none.
                file.seek(max(0, path.stat().st_size - _LONGEST_ROW * last))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    rows = [row for line in lines if (row := _row(line)) is not None]
    return rows if last is None else rows[-last:]


def append_row(path: Path, row: dict[str, float]) -> None:
    """Write a step's row behind the others."""
    with path.open("a", encoding="utf-8") as file, inside_fence(path):
        file.write(json.dumps(row) + "\n")
        file.flush()


def keep_rows(path: Path, step: int) -> None:
    """Drop the rows of steps after `step`: they will be taken again."""
    rows = [row for row in read_curve(path) if row["step"] <= step]
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows), durable=False)


def _row(line: str) -> dict[str, float] | None:
    """Read one row; None for what is being written, or was cut short."""
    try:
        row = load_json(line)
        numbers = all(type(value) in (int, float) and abs(value) < _MOST for value in row.values())
    except NOT_AS_WRITTEN:
        return None
    return row if numbers and row.keys() >= _FIELDS else None
