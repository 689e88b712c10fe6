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
AGAIN = 1.0  # seconds until an alarm rings, or a signal is heard, again
GRACE = 60.0  # seconds between the polite end of a cell that takes too long and the end of its process


class TimedOutError(Exception):
    """The cell took longer than `cell_timeout` allows."""


class _CtrlCError(KeyboardInterrupt):
    """A `KeyboardInterrupt` that takes a weak reference, so that one sees whether it is still on its way."""


class _Insistent:
    """Raises an error, and again for as long as what it raised was swallowed."""

    def __init__(self, make: Callable[[], BaseException]) -> None:
        self._make = make
        self._raised: weakref.ref[BaseException] | None = None

    def throw(self) -> None:
        """Raise anew."""
        raise self._error()

    def insist(self) -> None:
        """Raise, unless what was raised before is still on its way out through the cell's own cleaning up.

        An exception on its way is held by the interpreter. One that ended in a `__del__`, which Python only prints, or
        in somebody's `except Exception`, is held by nobody.
        """
        if self._raised is None or self._raised() is None:
            raise self._error()

    def _error(self) -> BaseException:
        """Make the error here: a variable of `insist`'s, which is in its traceback, would keep it for good."""
        error = self._make()
        self._raised = weakref.ref(error)
        return error


class _Stop:
    """Handles one signal while a cell runs: once it came, it is heard again every second until the cell ends of it."""

    def __init__(self, make: Callable[[], BaseException]) -> None:
        self.came = False
        self._error = _Insistent(make)
        self._again = False  # whether the signal is ours
        self._over = threading.Event()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise whenever somebody tells; when it is told again from here, only if that was swallowed."""
        if self._again:
            self._again = False
            if not self._over.is_set():
                self._error.insist()
            return
        if not self.came:
            self.came = True
            threading.Thread(target=self._repeat, args=(number,), daemon=True, name="stop").start()
        self._error.throw()

    def _repeat(self, number: int) -> None:
        while not self._over.wait(AGAIN):
            self._again = True
            # By a signal: only in a handler can something be raised in the main thread.
            signal.pthread_kill(_main(), number)

    def heeded(self) -> None:
        """Raise, at a cell's end, where the signal came and nothing stopped for it."""
        if self.came:
            self._error.insist()

    def end(self) -> None:
        """Be silent from now on."""
        self._over.set()


def _main() -> int:
    return threading.main_thread().ident or 0


def _stops() -> dict[signal.Signals, _Stop]:
    """Return what to do on each signal that no launcher handles itself."""
    told = {number: _interrupted(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    free = {
        number: _Stop(error) for number, error in told.items() if signal.getsignal(number) is signal.SIG_DFL
    }
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        free[signal.SIGINT] = _Stop(_CtrlCError)
    return free


def _interrupted(number: signal.Signals) -> Callable[[], BaseException]:
    return lambda: Interrupted(f"told to stop ({number.name})")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM and SIGUSR2 into `Interrupted`, unless a launcher handles them itself.

    Their error, and Ctrl-C's, may be swallowed where it is raised (in a library's `__del__`, say): then it is raised
    again a second later, and at the latest here, so that no cell follows.
    """
    # Python sets handlers of signals in the main thread alone.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = _stops()
    before = {number: signal.signal(number, stop.handle) for number, stop in stops.items()}
    try:
        yield
        for stop in stops.values():
            stop.heeded()
    finally:
        for stop in stops.values():
            stop.end()
        for number, former in before.items():
            signal.signal(number, former)


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


@contextlib.contextmanager
def _alarm(seconds: float, reason: str) -> Iterator[None]:
    """Raise in the main thread after `seconds`; elsewhere the watchdog alone must do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    alarm = _Insistent(lambda: TimedOutError(reason))
    before = signal.signal(signal.SIGALRM, lambda number, frame: alarm.insist())

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
        # `SystemExit` would end this watchdog's thread alone, and the main one does not react; 124 as of `timeout`.
        os._exit(124)
