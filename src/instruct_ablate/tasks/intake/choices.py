"""References and answer choices in the shapes people use: a text, a list, objects with a `text`, `a ||| b`."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import TypeGuard

from instruct_ablate.tasks.intake.text import NotTextError, Number, Oddities, described, text_of

SEPARATOR = "|||"
TEXT = "text"
_SHAPES = 'a list of texts, "a ||| b", {text: [...]} or a list of {text: ...}'


def references_of(value: object, oddities: Oddities) -> tuple[str, ...]:
    """Return the right outputs of an instance: one text, or a list of them; none where the value is null."""
    return _texts(_opened(value), oddities)


def choices_of(value: object, oddities: Oddities) -> tuple[str, ...]:
    """Return the answer choices of an instance; none where the value is null or an empty list."""
    opened = list(value.values()) if _is_lettered(value) else _opened(value)
    if isinstance(opened, str) and not isinstance(opened, Number):
        opened = _split(opened)
    if not isinstance(opened, list | tuple) and opened is not None:
        raise NotTextError(f"{_shown(opened)}; answer choices are {_SHAPES}")
    return _texts(opened, oddities)


def _opened(value: object) -> object:
    """Take the texts out of {text: ..., label: ...}."""
    if not isinstance(value, dict):
        return value
    if TEXT not in value:
        raise NotTextError(f"{described(value)} without the key 'text'")
    inner: object = value[TEXT]
    return inner


def _is_lettered(value: object) -> TypeGuard[dict[str, object]]:
    """Tell whether choices stand under their letters: {A: blue, B: red}."""
    return isinstance(value, dict) and bool(value) and all(len(str(key)) == 1 for key in value)


def _texts(value: object, oddities: Oddities) -> tuple[str, ...]:
    items: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    texts = [
        text_of(item[TEXT] if isinstance(item, dict) and TEXT in item else item, oddities) for item in items
    ]
    if None in texts and len(items) > 1:
        oddities["null in a list left out"] += 1
    return tuple(text for text in texts if text is not None)


def _split(text: str) -> object:
    """Read choices that are written into one text, as P3 templates and CSV files have them."""
    if not text.strip():
        return None
    if SEPARATOR in text:
        return [part.strip() for part in text.split(SEPARATOR)]
    if text.strip().startswith(("[", "{")):
        # Lists as JSON has them, and as Python prints them into a CSV file; `literal_eval` runs no code.
        for parse in (json.loads, ast.literal_eval):
            try:
                parsed = parse(text.strip())
                return list(parsed.values()) if _is_lettered(parsed) else _opened(parsed)
            # The last two come of text that is nested too deeply.
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    return text


def _shown(value: object) -> str:
    return f"the text {value[:40]!r}" if isinstance(value, str) else described(value)
