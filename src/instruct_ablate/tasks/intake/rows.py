"""Rows of a local data file (JSON lines, JSON, Parquet, Arrow, CSV) or folder, as plain dictionaries."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from instruct_ablate.disk.json_objects import DoubleKeyError
from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.data_file import (
    check_regular,
    kind,
    open_text,
    parse_json,
    read_text,
    reading,
)
from instruct_ablate.tasks.intake.text import described

SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow", ".csv", ".tsv")
ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
WRAPPED = (
    "data",
    "rows",
    "examples",
    "records",
    "instances",
)  # an object that holds its rows under one of these


def data_files(folder: Path) -> tuple[Path, ...]:
    """Return the data files under a folder, or the file itself, in a fixed order."""
    if not folder.is_dir():
        with reading(folder):
            check_regular(folder)
        return (folder,)
    return tuple(path for path in files_below(folder) if kind(path) in SUFFIXES and path.name not in ABOUT)


def files_below(folder: Path) -> tuple[Path, ...]:
    """Return all files under a folder but hidden ones, in a fixed order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return tuple(
        sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    )


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of one file; a file that cannot be read or is broken is an error that names it."""
    with reading(path):
        yield from READ.get(kind(path), _json_rows)(path)


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    for batch in batches(path):
        yield from batch.to_pylist()


def batches(path: Path) -> Iterator[Any]:
    """Yield the record batches. Arrow files come with and without a footer; `datasets` writes the latter."""
    import pyarrow as pa

    check_regular(path)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            yield from file.iter_batches()
    elif path.suffix != ".arrow":
        raise OSError("packed by gzip: unpack it first")
    elif _head(path) == b"ARROW1":
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        yield from (reader.get_batch(at) for at in range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(pa.memory_map(str(path)))


def label_names(path: Path, column: str) -> tuple[str, ...]:
    """Return the names of a column's numbered labels, which `datasets` writes into Parquet and Arrow files."""
    if path.suffix not in (".parquet", ".arrow"):
        return ()
    with reading(path):
        about = (_schema(path).metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(about).get("info", {}).get("features", {})
        return tuple(features.get(column, {}).get("names", ()))


def _schema(path: Path) -> Any:
    import pyarrow as pa

    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_schema(path)
    opened = pa.ipc.open_file if _head(path) == b"ARROW1" else pa.ipc.open_stream
    return opened(pa.memory_map(str(path))).schema


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(6)


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file: every field is text as it stands, an empty one stays empty."""
    with open_text(path) as file:
        reader = csv.reader(file, delimiter="\t" if kind(path) == ".tsv" else ",")
        header = next(reader, [])
        if double := sorted({name for name in header if header.count(name) > 1}):
            raise UserError(f"{path}: two columns are called {double[0]!r}; rename one")
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise UserError(
                    f"{path}: line {reader.line_num} has {len(fields)} fields, but there are {len(header)} "
                    f"columns ({', '.join(header)}); a text with a comma or a line end needs quotes"
                )
            yield dict(zip(header, fields, strict=True))


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of JSON lines or of one JSON document, whatever the file's name calls it.

    What tells them apart is the first line: if it is an object by itself, every line is a row.
    """
    with open_text(path) as file:
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        first = next(lines, None)
        if first is None:
            return
        try:
            row = parse_json(first[1])
        except json.JSONDecodeError:
            row = None
        except DoubleKeyError as error:
            raise UserError(f"{path}: line {first[0]}: {error}") from error
        if isinstance(row, dict):
            yield from _lines(path, row, lines)
            return
    yield from _document(path, read_text(path))


def _lines(path: Path, first: dict[str, Any], rest: Iterable[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    alone = True
    for number, line in rest:
        if alone:
            yield first
            alone = False
        try:
            row = parse_json(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: broken JSON at line {number}: {error.msg}") from error
        except DoubleKeyError as error:
            raise UserError(f"{path}: line {number}: {error}") from error
        yield _object(row, path, f"line {number}")
    if alone:
        yield from _unwrapped(path, first)


def _document(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one JSON value: a list, an object that holds a list, or a single object."""
    value = parse_json(text)
    if isinstance(value, dict):
        yield from _unwrapped(path, value)
        return
    if not isinstance(value, list):
        raise UserError(f"{path}: holds no rows, but {described(value)}")
    for at, row in enumerate(value):
        yield _object(row, path, f"item {at + 1}")


def _unwrapped(path: Path, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows that an object holds under "data" or the like; any other object is a row itself."""
    for name in WRAPPED:
        inner = value.get(name)
        if isinstance(inner, list) and inner and all(isinstance(row, dict) for row in inner):
            yield from inner
            return
    yield value


def _object(row: object, path: Path, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f"{path}: {where} is no JSON object, but {described(row)}")
    return row


READ = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".parquet": _table_rows,
    ".arrow": _table_rows,
}
