"""Training examples whose number is known and whose tokens are mapped when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from instruct_ablate.data.store import TokenStore


@dataclass(frozen=True)
class Examples:
    """So many examples; `open` maps their tokens, and makes them first where no one has."""

    count: int
    open: Callable[[], TokenStore]
    tasks: int = 0  # that they are of; 0: not known

    def __len__(self) -> int:
        """Number of examples."""
        return self.count
