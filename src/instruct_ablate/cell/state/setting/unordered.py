"""Lists that need no order, wherever a configuration has them: sorted, two that differ in nothing else are one."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

# Lists of which no result hangs on the order, nor on how often a value stands there: names and patterns to select by.
# Settings have them sorted. An identity hashes them as they are written; `former` finds the cell of another order.
UNORDERED = frozenset({
    "tasks.categories", "tasks.include", "tasks.train_categories", "tasks.train_include", "tasks.test_categories",
    "tasks.test_include", "tasks.test_parts", "method.target_modules",
})  # fmt: skip

PARTS, LONGEST_PART = "tasks.parts", 20_000  # characters of a part that are read


def in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by key, those of a mixture's parts too, with lists that need no order sorted."""
    return {key: _in_order(key, value) for key, value in values.items()}


def has_lists(values: Mapping[str, Any]) -> bool:
    """Whether there is a list that could as well stand in another order."""
    return any(
        has_lists(value) if isinstance(value, Mapping) else key in UNORDERED and bool(value)
        for key, value in values.items()
    )


def _in_order(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return in_order(value)
    return sorted(set(value)) if key in UNORDERED and isinstance(value, list | tuple) else value


def brought_in_order(key: str, value: Any) -> Any:
    """Return a setting's value as settings have it now: an earlier version wrote lists as they were given.

    So it did within a mixture's parts, which a setting has in words.
    """
    if key == PARTS and isinstance(value, list | tuple):
        return [_part_in_order(str(part)) for part in value]
    return _in_order(key, value)


@lru_cache(maxsize=1024)
def _part_in_order(part: str) -> str:
    """Read `name: {'tasks.include': ['b', 'a']}` as data alone; what is none of that stays as it is."""
    name, _, told = part.partition(": ")
    if len(part) > LONGEST_PART or not told.startswith("{"):
        return part
    try:
        return f"{name}: {in_order(ast.literal_eval(told))}"
    except (ValueError, TypeError, AttributeError, SyntaxError, MemoryError, RecursionError):
        return part
