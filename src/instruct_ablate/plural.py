"""Numbers with their nouns, as a sentence has them: "1 cell", "1,200 cells"; the first of many; lines as sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

_KEY = re.compile(r"\S+[._=]\S")  # a name of the configuration, at the beginning


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: "1 seed", "3 seeds"; only nouns whose plural is an s more."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def are(number: int) -> str:
    """Return the verb for so many: "1 of 3 cells is", "2 of 3 cells are"."""
    return "is" if number == 1 else "are"


def have(number: int) -> str:
    """Return the verb for so many: "1 task has", "2 tasks have"."""
    return "has" if number == 1 else "have"


def were(number: int) -> str:
    """Return the verb for so many: "1 prediction was dropped", "2 predictions were"."""
    return "was" if number == 1 else "were"


def named(names: Sequence[str], most: int) -> str:
    """Name the first of many, and say how many more there are: "a, b and 3 more"."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def sentence(line: str) -> str:
    """Write a line as a sentence in a text: with a capital, but for a key of the configuration, and a full stop."""
    return f"{line}." if _KEY.match(line) else f"{line[:1].upper()}{line[1:]}."
