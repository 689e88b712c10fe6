"""Values of data files as text: what is text, what becomes text and what is missing, by one rule for all readers."""

from __future__ import annotations

import math
import re
from collections import Counter
from decimal import Decimal
from numbers import Real

_BROKEN = re.compile("[\ud800-\udfff\0]")
_BYTE_ORDER_MARK = "\ufeff"

Oddities = Counter[str]  # what was met in a task, and how often: its notes


class Number(str):
    """A number of a JSON file, spelt as it is there: 1.50 stays 1.50, and no length is too much."""

    __slots__ = ()


class NotTextError(Exception):
    """A value that is no text and has no plain reading as one; the message says what it is."""


def text_of(value: object, oddities: Oddities) -> str | None:
    """Return a value as clean text, or None where there is none (null, not a number).

    Numbers are text as they are spelt. Nothing else is turned into text: a Python `str()` of a list, an object
    or a truth value is never what a model should read or write.
    """
    if type(value) is str:  # nearly all there is
        return clean(value, oddities)
    if value is None or (
        not isinstance(value, int) and isinstance(value, Real | Decimal) and math.isnan(value)
    ):
        return None
    if isinstance(value, bool):
        raise NotTextError(f"{'true' if value else 'false'}, a truth value")
    if isinstance(value, Real | Decimal | Number):
        oddities["number taken as text"] += 1
        return _spelt(value)
    if isinstance(value, str):
        return clean(str(value), oddities)
    raise NotTextError(described(value))


def described(value: object) -> str:
    """Say what a value is, in the words of JSON."""
    if isinstance(value, dict):
        return f"an object ({', '.join(map(str, value))})" if value else "an empty object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, Number | Real):
        return "a number"
    return "a text" if isinstance(value, str) else f"a value of type {type(value).__name__}"


def clean(text: str, oddities: Oddities) -> str:
    """Replace what no UTF-8 file or tokenizer can hold (halves of surrogate pairs, NUL); drop a byte order mark."""
    if text.startswith(_BYTE_ORDER_MARK):
        oddities["byte order mark dropped"] += 1
        text = text.lstrip(_BYTE_ORDER_MARK)
    if ("\0" not in text and text.isascii()) or not _BROKEN.search(text):
        return text
    oddities["broken Unicode replaced"] += 1
    return _BROKEN.sub("\ufffd", text)


def _spelt(value: object) -> str:
    if isinstance(value, float) and math.isinf(value):
        raise NotTextError("an infinite number")
    try:
        return str(value)
    except ValueError as error:  # Python writes no integers of more than some thousand digits
        raise NotTextError("an integer of thousands of digits") from error


def notes_of(name: str, oddities: Oddities) -> tuple[str, ...]:
    """Say what was met in a task, with how often where it was more than once."""
    return tuple(f"{name}: {what}{f' ({n})' if n > 1 else ''}" for what, n in oddities.items() if n)
