"""Cell records as JSON and back, typed on both ways; works for any nested frozen dataclass."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from instruct_ablate.cell.state.record.old_record import modern_record
from instruct_ablate.cell.state.record.record import RECORD_VERSION, CellRecord, Environment
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, as_utf8
from instruct_ablate.errors import in_a_line
from instruct_ablate.metrics.registry import describe

T = TypeVar("T")
# The last key of the text: all before it is what the checksum is of, byte by byte.
_SEAL = ',\n "seal": "'
REPEATED = (Setting, Environment)  # what many records of a study have alike
MOST_KNOWN = 10_000
_MOST = 1e15  # of numbers in a record: seconds, bytes, counts, percents


class CorruptRecordError(Exception):
    """A record that cannot be what a cell runner wrote."""


class OtherFormatError(Exception):
    """A record or declaration that a newer version of this program wrote; sound, but not ours to read."""

    def __init__(self, version: object, raw: dict[str, Any]) -> None:
        self.raw = raw
        super().__init__(
            f"written in format {version} by a newer version; this one reads up to {RECORD_VERSION}"
        )


def to_json(record: Any) -> str:
    """Write a dataclass as JSON text; half a surrogate pair is escaped, for no file of text can hold it."""
    return as_utf8(json.dumps(dataclasses.asdict(record), ensure_ascii=False, indent=1))


def sealed(text: str) -> str:
    """Add a checksum to the JSON text of an object: a bit that flips on the disk is noticed, whatever it says."""
    body = text.removesuffix("\n}")
    return f'{body}{_SEAL}{_checksum(body)}"\n}}'


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode(errors="surrogatepass")).hexdigest()[:32]


def from_json(text: str, kind: type[T]) -> T:
    """Read a dataclass of type `kind` back from JSON text; `CorruptRecordError` where it does not fit."""
    return decode(loaded(text), kind)


def loaded(text: str) -> dict[str, Any]:
    """Read a JSON object; `OtherFormatError` where it says that it is of a newer format."""
    try:
        raw = load_json(text)
    except NOT_AS_WRITTEN as error:
        raise CorruptRecordError(in_a_line(error)) from error
    if not isinstance(raw, dict):
        raise CorruptRecordError(f"an object expected, {type(raw).__name__} found")
    body, seal, _ = text.rpartition(_SEAL)
    # What an early version wrote has no seal to be held against.
    if raw.pop("seal", None) != _checksum(body) and seal:
        raise CorruptRecordError("it is not as it was written")
    newest = 1 if "format" in raw else RECORD_VERSION  # version 1 called it "format"
    version = raw.get("format", raw.get("version", 1))
    if isinstance(version, int) and version > newest:
        raise OtherFormatError(version, raw)
    return raw


def decode(raw: dict[str, Any], kind: type[T]) -> T:
    """Make a dataclass of type `kind` from parsed JSON; `CorruptRecordError` where it does not fit."""
    try:
        result = _decoder(cast("Any", kind))(raw)
    except NOT_AS_WRITTEN as error:
        raise CorruptRecordError(f"{kind.__name__}: {in_a_line(error)}") from error
    assert isinstance(result, kind)
    return result


def parse_record(text: str, folder: Path | None = None) -> CellRecord:
    """Read a cell record; of an old one, what it lacks is looked for in its `folder`."""
    raw = loaded(text)
    try:
        record = decode(modern_record(raw, folder) if "axes" in raw else raw, CellRecord)
        # Of the user's own metrics tables know what records say: none of their code is loaded.
        describe(metric for block in record.every_block for metric in block.metrics)
        return record
    except NOT_AS_WRITTEN as error:
        raise CorruptRecordError(f"CellRecord: {in_a_line(error)}") from error


@cache
def _decoder(hint: Any) -> Callable[[Any], Any]:
    """Build the function that turns parsed JSON into a value of type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(hint)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin is list:
        each = _decoder(arguments[0])
        return lambda value: [each(item) for item in _exactly(value, list)]
    if origin in (Union, types.UnionType):
        return _union_decoder(tuple(argument for argument in arguments if argument is not type(None)))
    if origin is Literal:
        return lambda value: _among(value, arguments)
    if hint is float:
        return _number
    if hint is str:  # most of what there is
        return lambda value: value if type(value) is str else _exactly(value, str)
    return lambda value: _exactly(value, hint)


def _dataclass_decoder(kind: Any) -> Callable[[Any], Any]:
    decoders = {name: _decoder(hint) for name, hint in get_type_hints(kind).items()}
    brought_up = getattr(kind, "brought_up", None)  # fields as an earlier version wrote them, as of now

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} expected, {type(value).__name__} found")
        fields = brought_up(value) if brought_up else value
        return kind(**{name: decoders[name](item) for name, item in fields.items()})

    return _remembering(decode) if kind in REPEATED else decode


def _remembering(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Decode the same JSON once: the cells of a study have few settings, and each seed's record repeats one."""
    known: dict[str, Any] = {}

    def decode_once(value: Any) -> Any:
        if not isinstance(value, dict):
            return decode(value)
        key = repr(value)  # which tells 1, 1.0, true and "1" apart
        if key not in known:
            if len(known) >= MOST_KNOWN:
                known.clear()
            known[key] = decode(value)
        return known[key]

    return decode_once


def _union_decoder(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Decode what may be None, or one of several plain values; a list among those is a tuple."""
    if len(kinds) == 1:
        inner = _decoder(kinds[0])
        return lambda value: None if value is None else inner(value)
    plain = tuple(kind for kind in kinds if get_origin(kind) is None)
    listed = next((_decoder(kind) for kind in kinds if get_origin(kind) is tuple), None)

    def decode_one(value: Any) -> Any:
        if listed is not None and isinstance(value, list):
            return listed(value)
        if value is not None and not isinstance(value, plain):
            raise TypeError(f"{value!r} is of none of the types {', '.join(map(str, kinds))}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            _number(value)
        return value

    return decode_one


def _tuple_decoder(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _decoder(arguments[0])
        return lambda value: tuple([each(item) for item in _exactly(value, list)])
    if len(arguments) == 2:  # a name with its value: thousands of them in a study
        first, second = map(_decoder, arguments)

        def decode_pair(value: Any) -> Any:
            one, other = _exactly(value, list)
            return first(one), second(other)

        return decode_pair
    parts = [_decoder(argument) for argument in arguments]
    return lambda value: tuple(part(item) for part, item in zip(parts, _exactly(value, list), strict=True))


def _among(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {allowed}")
    return value


def _number(value: Any) -> float:
    if type(value) is float and -_MOST <= value <= _MOST:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"number expected, {value!r} found")
    if not abs(value) <= _MOST:
        raise ValueError(f"a number that can be, {value!r:.40} found")
    return float(value)


def _exactly(value: Any, kind: Any) -> Any:
    if kind is not Any and not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, {value!r} found")
    if kind is int and abs(value) > _MOST:
        raise ValueError("a number that can be, a longer one found")
    return value
