"""Rows of a local data file (JSON lines, JSON, Parquet, Arrow, CSV) or folder, as plain dictionaries."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError

SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow", ".csv")
_ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")


def data_files(folder: Path) -> tuple[Path, ...]:
    """Return the data files under a folder, or the file itself, in a fixed order."""
    if folder.is_file():
        return (folder,)
    found = (path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return tuple(sorted(path for path in found if path.name not in _ABOUT))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one file; a file that cannot be read or is broken is an error that names it."""
    try:
        if path.suffix in (".parquet", ".arrow"):
            yield from _table_rows(path)
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from csv.DictReader(file)
        elif path.suffix == ".json":
            yield from _json_rows(path)
        else:
            yield from _line_rows(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    try:
        for batch in _batches(path):
            yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: broken {path.suffix[1:]} file ({error})") from error


def _batches(path: Path) -> Iterator[Any]:
    """Arrow files come in two kinds, with and without a footer; `datasets` writes the latter."""
    import pyarrow as pa

    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.ParquetFile(path).iter_batches()
    elif path.read_bytes()[:6] == b"ARROW1":
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        yield from (reader.get_batch(at) for at in range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(pa.memory_map(str(path)))


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """A JSON file holds one list, or (as some call it) JSON lines after all."""
    text = path.read_bytes().decode("utf-8-sig")
    if not text.lstrip().startswith("["):
        yield from _line_rows(path)
        return
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: broken JSON at line {error.lineno}: {error.msg}") from error
    for at, row in enumerate(rows):
        yield _object(row, path, f"item {at + 1}")


def _line_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}: broken JSON at line {number}: {error.msg}") from error
            yield _object(row, path, f"line {number}")


def _object(row: object, path: Path, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f"{path}: {where} is no JSON object, but {type(row).__name__}")
    return row
