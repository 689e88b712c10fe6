"""One constraint: its kind and parameters, checked when it is made; as data it is one line of JSON.

An instance whose answer a program checks has its constraints in place of references, one text each, such as
`{"constraint": "words", "count": 40, "relation": "at least"}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.errors import UserError, closed, in_a_line, unknown

Value = str | int | tuple[str, ...] | None
Check = Callable[..., bool]
Parameter = Callable[[Any], Value]  # returns the value as it counts; `ValueError` says what is wrong with it

KEY = "constraint"
RELATIONS = ("at least", "at most", "less than", "exactly")
MOST = 100_000  # that anything is counted to
LONGEST = 10_000  # characters of a parameter's text
_LANGUAGE = re.compile("[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of constraint: the parameters that it has, and the function of text and parameters that checks it."""

    name: str
    parameters: Mapping[str, Parameter]
    check: Check


@dataclass(frozen=True, slots=True)
class Constraint:
    """A kind with its parameters' values."""

    kind: str
    values: tuple[tuple[str, Value], ...] = ()

    def met_by(self, text: str) -> bool:
        """Whether a text keeps to it; one of white space alone keeps to none."""
        return bool(text.strip()) and _KINDS[self.kind].check(text, **dict(self.values))

    def get(self, name: str) -> Value:
        """Return a parameter's value."""
        return dict(self.values)[name]


_KINDS: dict[str, Kind] = {}


def constraint(name: str, /, **parameters: Parameter) -> Callable[[Check], Check]:
    """Register a function of a text and these parameters as the check of a kind of constraint."""

    def register(function: Check) -> Check:
        _KINDS[name] = Kind(name, parameters, function)
        return function

    return register


def kinds() -> tuple[str, ...]:
    """Name all kinds."""
    return tuple(_KINDS)


def make(kind: str, /, **values: Any) -> Constraint:
    """Return a constraint; a kind, parameter or value that there is not is refused."""
    if kind not in _KINDS:
        raise unknown("constraint", kind, _KINDS)
    parameters = _KINDS[kind].parameters
    if strange := [name for name in values if name not in parameters]:
        allowed = ", ".join(parameters) or "none"
        raise UserError(
            f"constraint {kind}: unknown parameter {strange[0]!r}{closed(strange[0], parameters)} It has: {allowed}."
        )
    return Constraint(
        kind, tuple((name, _value(kind, name, values.get(name))) for name in sorted(parameters))
    )


def _value(kind: str, name: str, value: Any) -> Value:
    try:
        return _KINDS[kind].parameters[name](value)
    except ValueError as error:
        raise UserError(f"constraint {kind}: {name}={value!r}: {in_a_line(error)}") from error


def to_text(one: Constraint) -> str:
    """Write a constraint as one line of JSON, ASCII alone; parameters that are null are left out."""
    values = {name: value for name, value in one.values if value is not None}
    return json.dumps({KEY: one.kind, **values})


@lru_cache(maxsize=2**14)
def constraints_of(references: tuple[str, ...]) -> tuple[Constraint, ...]:
    """Return the constraints that stand in place of references; none where these are right outputs."""
    found = [_from_text(text) for text in references]
    return tuple(one for one in found if one is not None) if all(found) else ()


def _from_text(text: str) -> Constraint | None:
    # Just as `to_text` begins: what tasks have for right outputs is not parsed, JSON among it.
    if not text.startswith(f'{{"{KEY}":'):
        return None
    try:
        fields = load_json(text)
        return make(fields.pop(KEY), **fields)
    except (ValueError, TypeError, RecursionError, UserError):
        return None  # an ordinary text that only begins so


def number(least: int = 0) -> Parameter:
    """A whole number from `least` on."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
            raise ValueError(f"give a whole number from {least} to {MOST}")
        return value

    return read


def text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
        raise ValueError(f"give a text of at most {LONGEST} characters")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """One or more texts."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise ValueError("give a list of texts")
    return tuple(map(text, value))


def letter(value: Any) -> str:
    """A single character that is no white space."""
    if not isinstance(value, str) or len(value) != 1 or not value.strip():
        raise ValueError("give one letter")
    return value


def one_of(*allowed: str) -> Parameter:
    """One of some words; the first where none is given."""

    def read(value: Any) -> str:
        given = allowed[0] if value is None else value
        if given not in allowed:
            raise ValueError(f"give one of {', '.join(allowed)}")
        return str(given)

    return read


def language(value: Any) -> str:
    """A language's code, such as "de"."""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise ValueError('give the code of a language, such as "de"')
    return value


def optional(parameter: Parameter) -> Parameter:
    """A parameter that may be left out."""

    def read(value: Any) -> Value:
        return None if value is None else parameter(value)

    return read


relation = one_of(*RELATIONS)


def compares(found: int, how: str, wanted: int) -> bool:
    """Whether a count stands to the wanted one as a relation says."""
    if how == "at least":
        return found >= wanted
    if how == "at most":
        return found <= wanted
    return found < wanted if how == "less than" else found == wanted
