"""Cells of one base model side by side in this process: its weights are read once, and training steps are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from instruct_ablate.model.loading.last_loaded import SHELF
from instruct_ablate.model.training.joined import Meeting, generators, set_generators
from instruct_ablate.process.turns import SideBySide, Turn


def lending() -> AbstractContextManager[None]:
    """Lend the cells that run within this one copy of their model's weights."""
    return SHELF.lending()


def side_by_side(works: Mapping[str, Callable[[], object]], tokens: int | None) -> None:
    """Do the cells' works, by their names; `tokens`: of a joined pass at most, None: as many as a cell alone has.

    A fault is told and leaves the others; `SystemExit` and `KeyboardInterrupt` are raised once all have ended.
    """
    meeting = Meeting(tokens)
    turns = [Turn(name, work, meeting) for name, work in works.items()]
    try:
        with SHELF.lending():
            SideBySide(turns, meeting.meet, (generators, set_generators)).run()
    finally:
        meeting.close()
