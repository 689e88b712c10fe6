"""What follows from a configuration, worked out once for all that consist of the very same parts.

The cells of a grid share most of theirs, for each choice is composed once; a configuration of equal parts that are
others is worked out anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from instruct_ablate.schema import Config

T = TypeVar("T")
_PLAIN = (str, int, float, type(None))


class OncePerParts(Generic[T]):
    """Remembers what was worked out, and the configuration that it was worked out for."""

    def __init__(self, *without: str) -> None:
        self._without = frozenset(without)  # keys that it does not hang on
        self._known: dict[tuple[object, ...], tuple[Config, T]] = {}

    def get(self, config: Config, find: Callable[[Config], T]) -> T:
        """Return what is known of a configuration of these parts, else find it."""
        key = tuple(
            # With its type: to Python 1, 1.0 and True are one key.
            (type(value), value) if isinstance(value, _PLAIN) else id(value)
            for name, value in vars(config).items()
            if name not in self._without
        )
        if key not in self._known:
            self._known[key] = config, find(config)  # which keeps its parts, and so their ids, alive
        return self._known[key][1]
