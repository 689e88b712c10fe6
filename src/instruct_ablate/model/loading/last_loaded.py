"""The checkpoint that was loaded last, kept for a process's next cell: each cell works on a copy of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instruct_ablate.model.loading.checkpoint import Checkpoint


class Shelf:
    """Room for one checkpoint on the CPU; closed unless a process that runs several cells opens it."""

    def __init__(self) -> None:
        self.is_open = False
        self._kept: tuple[Hashable, Checkpoint] | None = None

    def open(self) -> None:
        """Keep checkpoints from now on."""
        self.is_open = True

    def close(self) -> None:
        """Keep none, and forget what was kept."""
        self.is_open, self._kept = False, None

    def take(self, key: Hashable, load: Callable[[], Checkpoint]) -> Checkpoint:
        """Return a copy of the checkpoint kept under `key`; another is loaded, and takes its place."""
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # two at once may be too much for the memory
            self._kept = (key, load())
        kept = self._kept[1]
        return replace(kept, model=copy.deepcopy(kept.model), tokenizer=copy.deepcopy(kept.tokenizer))


SHELF = Shelf()
