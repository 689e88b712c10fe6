"""How far a stage is, in lines at most once a minute: where no terminal shows a bar, as in a job's log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
MINUTE = 60.0
SHARE = 0.02  # of a stage that must be done before its pace says anything: a first prediction brings all the reading


class ProgressLines:
    """Logs a stage's progress where standard error is no terminal; a stage of less than a minute says nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, silent: bool | None = None) -> None:
        self._clock = clock
        self._silent = sys.stderr.isatty() if silent is None else silent
        self._stage, self._began, self._first, self._last = "", 0.0, 0, 0.0

    def tell(self, stage: str, done: int, total: int, *more: str) -> None:
        """Say how far a stage is, with what else is to be known and the time it still takes."""
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began, self._first, self._last = stage, now, done, now
        if self._silent or not total or now - self._last < MINUTE:
            return
        self._last = now
        pace = (done - self._first) / (now - self._began)
        known = pace > 0 and done - self._first > SHARE * total
        left = [f"{duration((total - done) / pace)} left"] if known else []
        log.info("%s", ", ".join((f"{stage} {done:,} of {total:,}", *more, *left)))


def duration(seconds: float) -> str:
    """Write a time as 2 h 05 min, 7 min or 40 s."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
