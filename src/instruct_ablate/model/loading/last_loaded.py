"""The checkpoint that was loaded last, kept for a process's next cell: each cell works on a copy of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from instruct_ablate.model.trial import tried_alike

ROOM = 1 << 30  # bytes: a larger model is read again, for a copy beside it may be too much for the memory
Loaded = TypeVar("Loaded")


class Shelf(Generic[Loaded]):
    """Room for one checkpoint on the CPU; closed unless a process that runs several cells opens it."""

    def __init__(self) -> None:
        self.is_open = False
        self._held: tuple[Hashable, Loaded] | None = None
        self._lent: dict[int, Any] | None = None  # weights that several cells read; None: each has its own

    def open(self) -> None:
        """Keep checkpoints from now on."""
        self.is_open = True

    def close(self) -> None:
        """Keep none, and forget what was kept."""
        self.is_open, self._held = False, None

    @contextmanager
    def lending(self) -> Iterator[None]:
        """Within, copies have the weights of what is held as their own: nothing may write to them.

        What was held before, and what is held within, is forgotten: cells freeze what they are lent.
        """
        before, self._held = self.is_open, None
        self.is_open, self._lent = True, {}
        try:
            yield
        finally:
            self.is_open, self._held, self._lent = before, None, None

    def lends(self, weight: Any) -> bool:
        """Whether a weight is one that several cells read."""
        return self._lent is not None and id(weight) in self._lent

    def take(self, key: Hashable, load: Callable[[], Loaded], size: Callable[[Loaded], int]) -> Loaded:
        """Return a copy of the checkpoint held under `key`; another is loaded, and takes its place.

        One of more than `ROOM` bytes is not held, unless its weights are lent. What trials show of one copy holds for
        the next.
        """
        if self._held is None or self._held[0] != key:
            self._held = None  # two at once may be too much for the memory
            loaded = load()
            if self._lent is None and size(loaded) > ROOM:
                return loaded
            self._held = (key, loaded)
            if self._lent is not None:
                self._lent |= {id(weight): weight for weight in _weights(loaded)}
        held = self._held[1]
        copied = copy.deepcopy(held, dict(self._lent)) if self._lent is not None else copy.deepcopy(held)
        tried_alike(*(_model(one) for one in (held, copied)))
        return copied


def with_same_weights(model: Any) -> Any:
    """Return a copy of a model whose weights are the very ones of `model`."""
    return copy.deepcopy(model, {id(weight): weight for weight in model.parameters()})


def _model(loaded: Any) -> Any:
    return loaded.model


def _weights(loaded: Any) -> Iterator[Any]:
    return iter(_model(loaded).parameters())


SHELF: Shelf[Any] = Shelf()
