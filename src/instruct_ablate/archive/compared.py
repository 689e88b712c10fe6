"""Two files of one table compared by what they say: rows cell by cell, numbers as numbers, prose by its numbers.

An archive of an earlier version has captions in that version's words. What a table shows is the same where its rows
are, and where the words around them hold the same numbers and the same answers in the same order.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal, DecimalException
from typing import Any, Literal, get_args

from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN
from instruct_ablate.report.statistics.claim import Answer
from instruct_ablate.report.verdicts.verdicts import MARKS

Likeness = Literal["in words", "around rows", "no"]
_NUMBER = re.compile(
    r"\d+(?:\.\d+){2,}|[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?"
)  # or a version, as text
_ANSWER = re.compile("|".join(rf"\b{re.escape(one)}\b" for one in get_args(Answer)))
_ROW = {
    ".md": re.compile(r"^\|"),
    ".tex": re.compile(r"^(?!\\caption).*\\\\$|^\\begin\{(tabular|longtable)\}"),
}


def likeness(name: str, one: bytes, other: bytes) -> Likeness:
    """Tell how far two unequal files of one table are alike.

    "in words": they say the same; "around rows": the rows do, but what is written around them has other numbers or
    answers; "no": rows differ, or one of them cannot be read.
    """
    if name.endswith(".parquet"):
        return "in words" if _same_columns(one, other) else "no"
    try:
        texts = one.decode(), other.decode()
        if name.endswith(".json"):
            mine, theirs = map(load_json, texts)
            # By what they print: NaN is NaN there, and true is not 1.
            return "in words" if repr(mine) == repr(theirs) else "no"
        kind = name[name.rfind(".") :]
        (rows, prose), (their_rows, their_prose) = (_parts(kind, text) for text in texts)
    except (*NOT_AS_WRITTEN, csv.Error):
        return "no"
    if rows != their_rows:
        return "no"
    if prose == their_prose:
        return "in words"
    # Without rows the prose is all that a file says.
    return "around rows" if rows else "no"


def _parts(kind: str, text: str) -> tuple[list[object], list[object]]:
    """Return a file's rows as they compare, and what its prose says in numbers and answers."""
    if kind == ".csv":
        return [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))], []
    pattern, rows, prose = _ROW.get(kind), list[object](), list[object]()
    for line in text.splitlines():
        if pattern is not None and pattern.search(line):
            rows.append(_cell(line))
        else:
            prose += _said(line)
    return rows, prose


def _cell(text: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """Return the words of a row, and its numbers as numbers: 50.0 is 50.00."""
    return tuple(_NUMBER.sub("#", text).split()), tuple(map(_value, _NUMBER.findall(text)))


def _said(line: str) -> Iterator[object]:
    """Yield the answers and the numbers of a line of prose, and the mark that it begins with."""
    if line[:2] in {f"{mark} " for mark in MARKS.values()}:
        yield line[0]
    yield from _ANSWER.findall(line)
    yield from map(_value, _NUMBER.findall(line))


def _value(number: str) -> object:
    """Read a number with all of its digits: hashes have some, which rounding would make one another's.

    What is none, as a version of three parts, is a text: 1.2.3 is not 1.20.3.
    """
    try:
        return Decimal(number.replace(",", ""))
    except DecimalException:
        return number


def _same_columns(one: bytes, other: bytes) -> bool:
    """Whether two Parquet files have the same columns with the same values, however they are written."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        files: list[Any] = [parquet.ParquetFile(pa.BufferReader(data)) for data in (one, other)]
        mine, theirs = files
        if (
            not mine.schema_arrow.equals(theirs.schema_arrow)
            or mine.metadata.num_rows != theirs.metadata.num_rows
        ):
            return False
        return repr(mine.read().to_pydict()) == repr(theirs.read().to_pydict())  # NaN is NaN there
    except (pa.ArrowException, *NOT_AS_WRITTEN, OSError):
        return False
