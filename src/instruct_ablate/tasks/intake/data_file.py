"""A user's file: opened as what it is, and every fault of its content told in one line that names it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from instruct_ablate.disk.json_objects import DoubleKeyError, each_key_once, repeated
from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.text import Number

# What a broken file makes Python, `json`, `csv`, `gzip` and `pyarrow` (whose errors are ValueErrors and OSErrors)
# raise. Anything else that is raised meanwhile is a fault of the code, and stays one.
BROKEN = (OSError, ValueError, EOFError, RecursionError, OverflowError, csv.Error, zlib.error)
_GZIP = b"\x1f\x8b"
_PACKED = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KINDS = {
    stat.S_ISFIFO: "a pipe (FIFO)",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
    stat.S_ISDIR: "a folder",
}

csv.field_size_limit(2**31 - 1)  # Python refuses a field of 131,072 characters or more unless told otherwise


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """The one boundary of users' data: what reading a broken file raises becomes one line; `what` the file is."""
    try:
        yield
    except BROKEN as error:
        raise UserError(f"{what} {path}: {_fault(error, kind(path))}".lstrip()) from error


def _fault(error: BaseException, suffix: str) -> str:
    """Say in one line what is wrong with a file."""
    if isinstance(error, UnicodeDecodeError):
        found = "it is UTF-16" if bytes(error.object[:2]) in _UTF_16 else f"byte {error.start}"
        return f"not UTF-8 ({found}): save it as UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"broken JSON at line {error.lineno}, column {error.colno}: {error.msg}"
    if isinstance(error, DoubleKeyError):
        return str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply to be read"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    said = " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
    return (
        f"cannot be read ({said[:300]})"
        if isinstance(error, OSError)
        else f"broken {suffix[1:]} file ({said[:300]})"
    )


def check_regular(path: Path) -> None:
    """Refuse what is no file: reading a pipe or a device could wait for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = next((name for test, name in _KINDS.items() if test(mode)), "no regular file")
        raise OSError(f"it is {what}, not a file")


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacked if it is gzip by its first bytes, whatever its name."""
    check_regular(path)
    with path.open("rb") as file:
        head = file.read(6)
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed is not None:
        raise OSError(f"it is {packed}: unpack it first")
    if head.startswith(_GZIP):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def open_text(path: Path) -> io.TextIOWrapper:
    """Open a file as UTF-8 text, with or without a byte order mark; every line end is one."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig")


def read_text(path: Path, what: str = "") -> str:
    """Return the text of a whole file."""
    with reading(path, what), open_bytes(path) as file:
        return file.read().decode("utf-8-sig")


def parse_json(text: str) -> Any:
    """Parse JSON; numbers stay as they are spelt, "not a number" is null, and no key stands twice."""
    try:
        return _parsed(text, each_key_once)
    except DoubleKeyError as error:
        *place, key = _doubled(_parsed(text, _Doubled)) or [error.key]
        raise DoubleKeyError(key, f"{', '.join(place)}: " if place else "") from error


def _parsed(text: str, make_object: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    return json.loads(
        text, object_pairs_hook=make_object, parse_int=Number, parse_float=Number, parse_constant=_constant
    )


class _Doubled(dict[str, Any]):
    """An object that remembers its key that stands twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.key = repeated(pairs) if len(self) < len(pairs) else None


def _doubled(value: Any) -> list[str] | None:
    """Return where an object with a key twice lies, from the outside in, and the key."""
    if isinstance(value, _Doubled):
        if value.key is not None:
            return [value.key]
        parts = ((repr(name[:60]), inner) for name, inner in value.items())
    else:
        items = value if isinstance(value, list) else ()
        parts = ((f"item {at}", inner) for at, inner in enumerate(items, 1))
    return next(([name, *rest] for name, inner in parts if (rest := _doubled(inner))), None)


def _constant(name: str) -> Number | None:
    return None if name == "NaN" else Number(name)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    text = read_text(path)
    with reading(path):
        return parse_json(text)


def kind(path: Path) -> str:
    """Return the suffix that tells a file's format; that of gzip is no format."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def stem(path: Path) -> str:
    """Return a file's name without its format."""
    return path.name.removesuffix(".gz").removesuffix(kind(path))
