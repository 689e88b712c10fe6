"""The checkpoint that was loaded last, kept for a process's next cell: each cell works on a copy of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

ROOM = 1 << 30  # bytes: a larger model is read again, for a copy beside it may be too much for the memory
Loaded = TypeVar("Loaded")


class Shelf(Generic[Loaded]):
    """Room for one checkpoint on the CPU; closed unless a process that runs several cells opens it."""

    def __init__(self) -> None:
        self.is_open = False
        self._held: tuple[Hashable, Loaded] | None = None

    def open(self) -> None:
        """Keep checkpoints from now on."""
        self.is_open = True

    def close(self) -> None:
        """Keep none, and forget what was kept."""
        self.is_open, self._held = False, None

    def take(self, key: Hashable, load: Callable[[], Loaded], size: Callable[[Loaded], int]) -> Loaded:
        """Return a copy of the checkpoint held under `key`; another is loaded, and takes its place.

        One of more than `ROOM` bytes is not held.
        """
        if self._held is None or self._held[0] != key:
            self._held = None  # two at once may be too much for the memory
            loaded = load()
            if size(loaded) > ROOM:
                return loaded
            self._held = (key, loaded)
        return copy.deepcopy(self._held[1])


SHELF: Shelf[Any] = Shelf()
