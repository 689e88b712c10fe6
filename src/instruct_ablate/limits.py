"""What single values of the configuration may be: each group declares its limits beside the code that uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instruct_ablate.errors import refusal, unknown

MANY = 2**31 - 1  # counts go through 32-bit integers of libraries
LONG = 4000  # characters of a path or a sentence; more is no name but a file's content
NAME_BYTES = 255  # of a file's or folder's name
Fault = Callable[[str, Any], str | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """The fault of a value under its key, or None; `null` says what null stands for, where it is allowed."""

    fault: Fault
    null: str | None = None

    def or_null(self, meaning: str) -> Limit:
        """Return the same limit that allows null too."""
        return replace(self, null=meaning)


Limits = Mapping[str, Limit]


def check_limits(group: str, config: Any, limits: Limits) -> None:
    """Refuse values outside their limits, all of a group's at once; `group` is empty for single keys."""
    faults = []
    for name, limit in limits.items():
        key, value = f"{group}.{name}" if group else name, vars(config)[name]
        if value is None and limit.null is not None:
            continue
        if (fault := limit.fault(key, value)) is not None:
            # A name that is not among the allowed ones is told in a sentence, which goes on here.
            or_null = f", or null {limit.null}" if limit.null is not None else ""
            faults.append(fault.removesuffix(".") + or_null if or_null else fault)
    if faults:
        raise refusal(faults)


def whole(low: int, high: int = MANY, hint: str = "") -> Limit:
    """A whole number from `low` to `high`; `hint` ends the message."""

    def fault(key: str, value: Any) -> str | None:
        if isinstance(value, int) and low <= value <= high:
            return None
        most = f" and at most {high}" if _above(value, high) else ""
        return f"{key}={shown(value)} must be at least {low}{most}{hint}"

    return Limit(fault)


def number(low: float, high: float, above: bool = False, below: bool = False, hint: str = "") -> Limit:
    """A finite number from `low` to `high`; `above` and `below` leave that end itself out, `hint` ends the message."""

    def fault(key: str, value: Any) -> str | None:
        sound = isinstance(value, int | float) and math.isfinite(value) and low <= value <= high
        if sound and not (above and value == low) and not (below and value == high):
            return None
        least = f"above {low:g}" if above else f"at least {low:g}"
        most = f"below {high:g}" if below else f"at most {high:g}"
        return f"{key}={shown(value)} must be {least} and {most}{hint}"

    return Limit(fault)


def numbers(low: float, high: float) -> Limit:
    """A list of numbers from `low` to `high`; it may be empty."""

    def fault(key: str, value: Any) -> str | None:
        if not isinstance(value, list | tuple):
            return f"{key}={shown(value)} must be a list, such as [{low:g},{high:g}]"
        faults = (number(low, high).fault(f"{key}: the entry {shown(one)}; {key}", one) for one in value)
        return next((found for found in faults if found is not None), None)

    return Limit(fault)


def one_of(names: Sequence[str]) -> Limit:
    """One of a list of names, which is the one that the use reads."""

    def fault(key: str, value: Any) -> str | None:
        return None if value in names else str(unknown(key, str(value)[:60], names))

    return Limit(fault)


def text(longest: int = LONG) -> Limit:
    """Text that is there, on one line, and can be written to a file or shown."""

    def fault(key: str, value: Any) -> str | None:
        why = text_fault(value, longest)
        return None if why is None else f"{key}={shown(value)} {why}"

    return Limit(fault)


def texts(longest: int = LONG) -> Limit:
    """A list of such texts; it may be empty."""

    def fault(key: str, value: Any) -> str | None:
        if not isinstance(value, list | tuple):
            return f"{key}={shown(value)} must be a list, such as [a,b]"
        for item in value:
            if (why := text_fault(item, longest)) is not None:
                return f"{key}: the entry {shown(item)} {why}"
        return None

    return Limit(fault)


def path() -> Limit:
    """A file's or folder's name as a file system takes it; whether it is there is another matter."""

    def fault(key: str, value: Any) -> str | None:
        why = path_fault(value)
        return None if why is None else f"{key}={shown(value)} {why}"

    return Limit(fault)


def any_value() -> Limit:
    """Whatever the schema's type lets through (truth values)."""
    return Limit(lambda key, value: None, null="")


def text_fault(value: Any, longest: int = LONG) -> str | None:
    """Say why a value is no usable text; None where it is."""
    if not isinstance(value, str):
        return "is no text"
    if not value.strip():
        return "is empty: give some text"
    if any(ord(sign) < 32 or ord(sign) == 127 or 0xD800 <= ord(sign) < 0xE000 for sign in value):
        return "holds control characters (line ends, NUL, halves of characters): leave them out"
    if len(value) > longest:
        return f"has {len(value)} characters: give at most {longest}"
    return None


def path_fault(value: Any) -> str | None:
    """Say why a value names no file or folder anywhere; None where it may."""
    if (why := text_fault(value)) is not None:
        return why
    if any(len(part.encode()) > NAME_BYTES for part in value.split("/")):
        return f"has a part of more than {NAME_BYTES} bytes, which is no name to a file system"
    try:
        Path(value).expanduser()
    except RuntimeError:
        return "begins with ~ and a user that this machine does not know"
    return None


def exactly(value: float) -> str:
    """Write a number shortly, and all of it: of two numbers that differ the texts do too."""
    short = f"{value:g}"
    return short if float(short) == value else str(value)


def shown(value: Any) -> str:
    """Write a value for a message: on one line, and not too long."""
    written = repr(value) if isinstance(value, str) else str(value)
    return written if len(written) <= 80 else f"{written[:60]}… ({len(written)} characters)"


def _above(value: Any, high: int) -> bool:
    return isinstance(value, int) and value > high
