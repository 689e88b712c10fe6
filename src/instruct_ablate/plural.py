"""Numbers with their nouns, as a sentence has them: "1 cell", "3 cells", "1,200 cells"."""

from __future__ import annotations


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
