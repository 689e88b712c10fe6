"""How a cell is told to stop: signals that end it resumably, and its own time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType

from instruct_ablate import limits
from instruct_ablate.errors import Interrupted

HOURS = limits.number(0, 87_600, above=True).or_null(
    "for no limit"
)  # ten years: timers go no further than some more
_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
AGAIN = 1.0  # seconds until an alarm rings again
GRACE = 60.0  # seconds between the polite end of a cell that takes too long and the end of its process


class TimedOutError(Exception):
    """The cell took longer than `cell_timeout` allows."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGUSR2 into `Interrupted`, unless a launcher handles them itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    free = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in free:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in free:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(f"told to stop ({signal.Signals(number).name})")


@contextlib.contextmanager
def time_limit(hours: float | None, hung: Callable[[str], None], grace: float = GRACE) -> Iterator[None]:
    """Raise `TimedOutError` after so many hours; a cell that does not even react then ends with its process.

    `hung` is called with the reason before the process ends, so that the record can tell.
    """
    if hours is None:
        yield
        return
    reason = f"took longer than cell_timeout={hours:g} hours"
    watchdog = threading.Timer(hours * 3600 + grace, _end, (reason, hung))
    watchdog.daemon = True
    watchdog.start()
    try:
        with _alarm(hours * 3600, reason):
            yield
    finally:
        watchdog.cancel()


class _Alarm:
    """Raises when the time is over, and again for as long as what it raised was swallowed."""

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._raised: weakref.ref[TimedOutError] | None = None

    def ring(self, number: int, frame: FrameType | None) -> None:
        """Raise, unless what was raised before is still on its way out through the cell's own cleaning up.

        An exception on its way is held by the interpreter. One that ended in a `__del__`, which Python only prints, or
        in somebody's `except Exception`, is held by nobody.
        """
        if self._raised is None or self._raised() is None:
            raise self._error()

    def _error(self) -> TimedOutError:
        """Make the error here: a variable of `ring`'s, which is in its traceback, would keep it for good."""
        error = TimedOutError(self._reason)
        self._raised = weakref.ref(error)
        return error


@contextlib.contextmanager
def _alarm(seconds: float, reason: str) -> Iterator[None]:
    """Raise in the main thread after `seconds`; elsewhere the watchdog alone must do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _Alarm(reason).ring)

    def disarm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            yield
        finally:
            disarm()
    finally:
        disarm()  # the alarm may have rung in the first


def _end(reason: str, hung: Callable[[str], None]) -> None:
    try:
        hung(f"{reason} and did not react; its process was ended")
    finally:
        os._exit(124)
