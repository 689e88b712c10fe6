"""JSON that others wrote: an object in which a key stands twice is refused, not read as its last value."""

from __future__ import annotations

import json
from typing import Any


class DoubleKeyError(ValueError):
    """A JSON object in which one key stands twice: which of the two values is meant, nobody can tell."""

    def __init__(self, key: str, where: str = "") -> None:
        self.key = key
        super().__init__(f"{where}the key {key[:100]!r} stands twice in one object; leave one")


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values; `DoubleKeyError` where a key stands twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise DoubleKeyError(repeated(pairs))
    return made


def repeated(pairs: list[tuple[str, Any]]) -> str:
    """Return the first key that stands twice."""
    seen: set[str] = set()
    return next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]


_DECODER = json.JSONDecoder(
    object_pairs_hook=each_key_once
)  # one for all: to make one takes as long as a row


def load_json(text: str | bytes) -> Any:
    """Parse JSON that somebody may have written by hand, or damaged: a key that stands twice is refused."""
    if isinstance(text, bytes):
        if text.startswith(b'{"'):  # of UTF-8 alone, whatever else there is: no need to look
            return _DECODER.decode(text.decode("utf-8", "surrogatepass"))
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    elif text.startswith("\ufeff"):
        return json.loads(text)  # which says that a text has no mark of its byte order
    return _DECODER.decode(text)
