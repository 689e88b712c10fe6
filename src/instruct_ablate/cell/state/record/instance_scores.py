"""Per-instance scores by column, beside a cell's record: what a report reads where means do not do.

The predictions file holds the same values row by row, with all texts; this one is read in milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.record.predictions import PredictionRow, content_of, parsed
from instruct_ablate.cell.state.record.record import SCORING, ScoreBlock
from instruct_ablate.disk.whole_files import as_utf8, inside, read_inside, read_plain, whole_file
from instruct_ablate.errors import UserError, in_a_line
from instruct_ablate.metrics import Metric

KEYS = ("task", "instance_id")
SCORES_OF = (
    "the scores are of what stood there then (instruct-ablate rescore STUDY scores what stands there now, and ends a "
    "rescoring that was stopped)"
)
CHANGED = f"was changed after it was scored: {SCORES_OF}"


def completed(
    folder: Path, block: ScoreBlock, rows: Sequence[PredictionRow], metrics: Sequence[Metric]
) -> ScoreBlock:
    """Write the column file of a block whose predictions lie there, and note it, their checksum and own metrics."""
    name = f"scores/{Path(block.predictions).stem}.parquet"
    _write(inside(folder, name), rows)
    return replace(
        block,
        instances=name,
        sha256=checksum(inside(folder, block.predictions)),
        metrics=tuple(metric.description for metric in metrics if not metric.is_built_in),
        scoring=SCORING,
    )


def checksum(path: Path) -> str:
    """Return the checksum of a predictions file."""
    return digest_of(read_plain(path))


def is_as_scored(block: ScoreBlock, data: bytes) -> bool:
    """Whether a predictions file that holds `data` is the one of the block's scores, as far as its record can tell."""
    return not change_told(block, digest_of(data))


def change_told(block: ScoreBlock, digest: str) -> str:
    """Say of a predictions file of this checksum that it is no longer the one of the block's scores; empty where it is.

    An early record cannot tell.
    """
    return f"{block.predictions} {CHANGED}" if block.sha256 not in ("", digest) else ""


def scored_rows(folder: Path, block: ScoreBlock) -> tuple[tuple[PredictionRow, ...], str]:
    """Read a block's predictions, and what to say where their file is not the one of its scores (`change_told`).

    Not for whoever writes them: until the record is written they are no block's.
    """
    path = inside(folder, block.predictions)
    data = content_of(path)
    return parsed(path, data), change_told(block, digest_of(data))


def digest_of(data: bytes) -> str:
    """Return the checksum of a predictions file that holds `data`."""
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, rows: Sequence[PredictionRow]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = dict.fromkeys(name for row in rows for name, _ in row.values)
    columns = {name: pa.array([row.get(name) for row in rows], pa.float64()) for name in names}
    ids = {
        # Half a surrogate pair, which JSON may hold, is no text to arrow.
        "task": pa.array([as_utf8(row.task) for row in rows]).dictionary_encode(),
        "instance_id": pa.array([as_utf8(row.instance_id) for row in rows]),
    }
    with whole_file(path) as temporary:
        pq.write_table(pa.table({**ids, **columns}), temporary, compression="zstd")


def columns_hold(folder: Path, block: ScoreBlock, rows: Sequence[PredictionRow]) -> bool:
    """Whether the column file of a block has the values of these rows, which today's rules have scored.

    Nothing is held against a file that is not there, whose instances count as unpaired, or of earlier rules.
    """
    if not block.instances or block.by_earlier_rules or not inside(folder, block.instances).exists():
        return True
    try:
        table = read_columns(folder, block.instances)
    except (OSError, UserError, ValueError):
        return False
    keys = list(zip(*(table.column(key).to_pylist() for key in KEYS), strict=True))
    own = {(as_utf8(row.task), as_utf8(row.instance_id)): row for row in rows}
    if len(keys) != len(own) or own.keys() != set(keys):
        return False
    return all(
        value == own[key].get(name)
        for name in table.column_names
        if name not in KEYS
        for key, value in zip(keys, table.column(name).to_pylist(), strict=True)
    )


def read_columns(folder: Path, name: str) -> Any:
    """Read a column file as an arrow table of texts and numbers; `OSError`, `UserError` or `ValueError` for another."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Read by `read_inside`, which follows no link, and not by name: arrow would open what that leads to.
        table = pq.ParquetFile(pa.BufferReader(read_inside(folder, name))).read(use_threads=False)
        if len(set(table.column_names)) < len(table.column_names):
            raise ValueError("two columns have one name")
        for place, (one, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
            kind = pa.string() if one in KEYS else pa.float64()
            if column.type != kind:
                table = table.set_column(place, one, column.cast(kind))
        if any(table.column(key).null_count for key in KEYS):
            raise ValueError("a row has no task or id")
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise ValueError(in_a_line(error, 200)) from error
    return table
