"""Constraints on how much a text says: words, sentences, paragraphs.

A word is a run of letters, digits and underscores, as in the published checks. A sentence ends with . ! ? or their kin
before white space, or with its paragraph; abbreviations, initials and the numbers of lists end none. Paragraphs are
parted by a line of three asterisks, or by an empty line.
"""

from __future__ import annotations

import re

from instruct_ablate.constraints.constraint import compares, constraint, number, one_of, relation, text

WORD = re.compile(r"\w+")
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_STARS = "***"
# What a sentence ends with: marks, then quotes and brackets that close, then white space; a full-width mark by itself.
_END = re.compile(r"(?:(?<![.!?…])[.!?…]+[\"'”’»)\]*_]*(?=\s|$))|(?:[。！？]+[”’」』）]*)")
_ABBREVIATIONS = frozenset((
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "e.g", "i.e", "cf", "no", "fig", "approx", "dept",
    "est", "inc", "ltd", "co", "p.s", "p.p.s", "a.m", "p.m",
))  # fmt: skip


def count_words(given: str) -> int:
    """Count the words of a text."""
    return len(WORD.findall(given))


def count_sentences(given: str) -> int:
    """Count the sentences of a text; one without a word is none."""
    return sum(_in_paragraph(one) for one in _BLANK.split(given))


def _in_paragraph(given: str) -> int:
    start, found = 0, 0
    for end in _END.finditer(given):
        before = given[start : end.start()]
        if end.group().startswith(".") and _ends_none(before):
            continue
        found += bool(WORD.search(before))
        start = end.end()
    return found + bool(WORD.search(given[start:]))


def _ends_none(before: str) -> bool:
    """Whether the full stop after this text belongs to an abbreviation, an initial or the number of a list's item."""
    if not before or before[-1].isspace():
        return False
    last = before.rsplit(None, 1)[-1]
    word = last.strip("\"'“‘«([*_").lower()
    initial = len(word) == 1 and word.isalpha() and word not in ("i", "a")
    alone = before[: len(before) - len(last)].rpartition("\n")[2].strip() == ""
    listed = word.isdecimal() and len(word) < 3 and alone
    return initial or listed or word in _ABBREVIATIONS


@constraint("words", relation=relation, count=number(1))
def words(given: str, relation: str, count: int) -> bool:
    """Whether a text has so many words."""
    return compares(count_words(given), relation, count)


@constraint("sentences", relation=relation, count=number(1))
def sentences(given: str, relation: str, count: int) -> bool:
    """Whether a text has so many sentences."""
    return compares(count_sentences(given), relation, count)


@constraint("paragraphs", count=number(1), divider=one_of("***", "empty line"))
def paragraphs(given: str, count: int, divider: str) -> bool:
    """Whether a text has exactly so many paragraphs; dividers at its ends part none, but none between two is empty."""
    if divider == "empty line":
        return len(_BLANK.split(given.strip())) == count
    parts = [part.strip() for part in given.strip().split(_STARS)]
    inner = parts[bool(parts and not parts[0]) :]
    inner = inner[:-1] if inner and not inner[-1] else inner
    return all(inner) and len(inner) == count


@constraint("paragraph_start", count=number(1), place=number(1), word=text)
def paragraph_start(given: str, count: int, place: int, word: str) -> bool:
    """Whether of exactly so many paragraphs, with empty lines between them, one begins with a word."""
    parts = _BLANK.split(given.strip())
    if len(parts) != count or place > count:
        return False
    first = WORD.search(parts[place - 1])
    return first is not None and first.group().casefold() == word.strip().casefold()
