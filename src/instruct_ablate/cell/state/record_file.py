"""Cell records as JSON and back, typed on both ways; works for any nested frozen dataclass."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from instruct_ablate.cell.state.record import FORMAT, CellRecord

T = TypeVar("T")


class CorruptRecordError(Exception):
    """A record that cannot be what a cell runner wrote."""


def to_json(record: Any) -> str:
    """Write a dataclass as JSON text."""
    return json.dumps(dataclasses.asdict(record), ensure_ascii=False, indent=1)


def from_json(text: str, kind: type[T]) -> T:
    """Read a dataclass of type `kind` back from JSON text; `CorruptRecordError` where it does not fit."""
    try:
        result = _decoder(cast("Any", kind))(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptRecordError(f"{kind.__name__}: {error}") from error
    assert isinstance(result, kind)
    return result


def parse_record(text: str) -> CellRecord:
    """Read a cell record; one of a later format is refused."""
    record = from_json(text, CellRecord)
    if record.format > FORMAT:
        raise CorruptRecordError(f"format {record.format} is newer than this version's {FORMAT}")
    return record


@cache
def _decoder(hint: Any) -> Callable[[Any], Any]:
    """Build the function that turns parsed JSON into a value of type `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(hint)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin in (Union, types.UnionType):
        inner = _decoder(next(argument for argument in arguments if argument is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is Literal:
        return lambda value: _among(value, arguments)
    if hint is float:
        return _number
    return lambda value: _exactly(value, hint)


def _dataclass_decoder(kind: Any) -> Callable[[Any], Any]:
    decoders = {name: _decoder(hint) for name, hint in get_type_hints(kind).items()}
    brought_up = getattr(kind, "brought_up", None)  # fields as an earlier version wrote them, as of now

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} expected, {type(value).__name__} found")
        fields = brought_up(value) if brought_up else value
        return kind(**{name: decoders[name](item) for name, item in fields.items()})

    return decode


def _tuple_decoder(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _decoder(arguments[0])
        return lambda value: tuple([each(item) for item in _exactly(value, list)])
    parts = [_decoder(argument) for argument in arguments]
    return lambda value: tuple(part(item) for part, item in zip(parts, _exactly(value, list), strict=True))


def _among(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {allowed}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"number expected, {value!r} found")
    return float(value)


def _exactly(value: Any, kind: Any) -> Any:
    if kind is not Any and not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, {value!r} found")
    return value
