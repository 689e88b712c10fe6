"""Constraints on the form of a text: JSON, lists, titles, sections, marks."""

from __future__ import annotations

import json
import re

from instruct_ablate.constraints.constraint import compares, constraint, number, one_of, relation, text

_FENCE = "```"
_BULLET = re.compile(r"^[^\S\n]*(?:\*(?!\*)|-(?!-)|•)[^\S\n]*[^\s*-]", re.MULTILINE)
_NUMBERED = re.compile(r"^[^\S\n]*(\d{1,4})[.)][^\S\n]+\S", re.MULTILINE)
_TITLE = re.compile(r"<<([^<>\n]+)>>")
# As in Markdown, no white space stands inside the asterisks: those of bullets begin nothing.
_HIGHLIGHT = re.compile(r"(\*{1,2})(?![\s*])[^\n*]*[^\s*]\1")
_PLACEHOLDER = re.compile(r"\[([^\[\]\n]+)\]")
_QUOTES = ('""', "“”", "„“", "«»")
SEPARATOR = "******"


def _unfenced(bare: str) -> str:
    if len(bare) < 2 * len(_FENCE) or not (bare.startswith(_FENCE) and bare.endswith(_FENCE)):
        return bare
    inner = bare[len(_FENCE) : -len(_FENCE)]
    return inner[4:] if inner[:4].lower() == "json" else inner


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


@constraint("json", value=one_of("any", "object", "list"))
def is_json(given: str, value: str) -> bool:
    """Whether the whole text, but for a fence of three backticks around it, is one JSON value."""
    try:
        # Python reads NaN and Infinity too, which are no JSON.
        parsed = json.loads(_unfenced(given.strip()), parse_constant=_refused)
    except (ValueError, RecursionError):
        return False
    return value == "any" or isinstance(parsed, dict if value == "object" else list)


@constraint("items", mark=one_of("bullet", "number"), relation=relation, count=number(1))
def items(given: str, mark: str, relation: str, count: int) -> bool:
    """Whether a list has so many items: lines that begin with * - or •, or with 1. 2. 3. in this order."""
    if mark == "bullet":
        return compares(len(_BULLET.findall(given)), relation, count)
    numbers = [int(one) for one in _NUMBERED.findall(given)]
    return numbers == list(range(1, len(numbers) + 1)) and compares(len(numbers), relation, count)


@constraint("title")
def title(given: str) -> bool:
    """Whether a text has a title in double angle brackets."""
    return any(one.strip() for one in _TITLE.findall(given))


@constraint("sections", name=text, relation=relation, count=number(1))
def sections(given: str, name: str, relation: str, count: int) -> bool:
    """Whether a text has so many sections, each marked by a word and a number."""
    marks = re.findall(rf"(?<!\w){re.escape(name.strip())}\s?\d+", given)
    return compares(len(marks), relation, count)


@constraint("highlights", relation=relation, count=number(1))
def highlights(given: str, relation: str, count: int) -> bool:
    """Whether so many passages are highlighted by *asterisks* around them, one or two."""
    return compares(len(_HIGHLIGHT.findall(given)), relation, count)


@constraint("placeholders", relation=relation, count=number(1))
def placeholders(given: str, relation: str, count: int) -> bool:
    """Whether a text has so many placeholders in square brackets, such as [name]."""
    return compares(sum(bool(one.strip()) for one in _PLACEHOLDER.findall(given)), relation, count)


@constraint("postscript", marker=text)
def postscript(given: str, marker: str) -> bool:
    """Whether a text has a postscript: its marker, spaced or not, at the beginning of a word."""
    spaced = r"\s?".join(map(re.escape, "".join(marker.split())))
    return re.search(rf"(?<!\S){spaced}", given, re.IGNORECASE) is not None


@constraint("quoted")
def quoted(given: str) -> bool:
    """Whether the whole text stands in double quotation marks."""
    bare = given.strip()
    return len(bare) > 2 and bare[0] + bare[-1] in _QUOTES and bool(bare[1:-1].strip())


@constraint("two_answers")
def two_answers(given: str) -> bool:
    """Whether a text is two different answers with six asterisks between them."""
    parts = [part.strip() for part in given.strip().split(SEPARATOR)]
    inner = parts[bool(parts and not parts[0]) :]
    inner = inner[:-1] if inner and not inner[-1] else inner
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]
