"""Cells side by side in one process, one running at a time: each in a thread of its own, which waits where cells meet.

A cell's own code knows nothing of it but what it asks here: whether there are others (`this_cell`), what to do together
with them (`Turn.ask`), and a clock that stands still while others run.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from instruct_ablate.errors import Interrupted
from instruct_ablate.process.processes import handling

log = logging.getLogger(__name__)
PREFIX = "cell "  # of the threads' names
AWAKE = 0.5  # seconds after which who leads looks whether there was a signal
State = Any
Generators = tuple[Callable[[], State], Callable[[State], object]]  # how their state is read and set


class ToldToStop(Interrupted):
    """What is raised in a cell's thread from outside, where no message can be given."""

    def __init__(self) -> None:
        super().__init__("told to stop")


class Turn(threading.Thread):
    """A cell's thread. It runs from `let` until it asks for something, or ends."""

    def __init__(self, name: str, work: Callable[[], object], meeting: Any = None) -> None:
        super().__init__(name=f"{PREFIX}{name}", daemon=True)
        self.meeting = meeting  # what knows how cells work together
        self.asked: Any = None  # what it waits for
        self.answer: Any = None
        self.share = 0.0  # seconds that others worked for it while it waited
        self.company = 0  # with how many others at most it worked together
        self.ended = False
        self.fault: BaseException | None = None
        self.told: str | None = None  # why it is to stop
        self.at_once = False
        self.listens: Any = None  # what notes a wish to stop; None: it is raised
        self.away = 0.0  # seconds that others had
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        """Do the cell's work, once it is let."""
        self._go.acquire()
        try:
            self._work()
        except BaseException as fault:
            self.fault = fault
        finally:
            self.ended = True
            self._back.release()

    def let(self) -> None:
        """Let it run until it asks or ends; called by who leads."""
        if not self.is_alive():
            self.start()
        self._go.release()
        while not self._back.acquire(timeout=AWAKE):
            # A signal is handled in between, whichever thread the system gave it to.
            if not self.is_alive():  # what was thrown reached it while it ended
                self.ended = True
                return

    def ask(self, what: Any) -> Any:
        """Wait for an answer to `what`; called by the cell."""
        started = time.perf_counter()
        self.asked, self.answer, self.share = what, None, 0.0
        self._back.release()
        self._go.acquire()
        self.away += time.perf_counter() - started - self.share
        self.asked = None
        if self.at_once:
            raise KeyboardInterrupt
        return self.answer

    @contextmanager
    def listening(self, request: Any) -> Iterator[None]:
        """Have a wish to stop noted as the `reason` of a request, while this lasts, and not raised."""
        self.listens = request
        if self.told is not None:
            request.reason = self.told
        try:
            yield
        finally:
            self.listens = None

    def stop(self, reason: str, at_once: bool, running: bool) -> None:
        """Have it stop; called by who leads, in the midst of its work too."""
        self.told, self.at_once = self.told or reason, at_once
        if self.listens is not None:
            self.listens.reason = self.told
        if running and (at_once or self.listens is None):
            self.throw(KeyboardInterrupt if at_once else ToldToStop)

    def throw(self, kind: type[BaseException]) -> None:
        """Raise in the thread, wherever it is."""
        # Python itself has no way to raise in another thread.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident or 0), ctypes.py_object(kind))


def this_cell() -> Turn | None:
    """Return the thread of the cell that asks, where it has one of its own."""
    thread = threading.current_thread()
    return thread if isinstance(thread, Turn) else None


def clock() -> float:
    """Return seconds that pass while the asking cell runs, or others work for it."""
    cell = this_cell()
    return time.perf_counter() - (cell.away if cell is not None else 0.0)


def own_lines() -> Callable[[logging.LogRecord], bool]:
    """Return a filter for the asking cell's log: of other cells' threads it takes no line."""
    own = threading.current_thread().name

    def filtered(record: logging.LogRecord) -> bool:
        return record.threadName == own or not (record.threadName or "").startswith(PREFIX)

    return filtered


class SideBySide:
    """Leads cells: lets each run until all wait or have ended, then has done what they wait for together."""

    def __init__(
        self, cells: Sequence[Turn], meet: Callable[[Sequence[Turn]], object], generators: Generators
    ) -> None:
        self._cells, self._meet, self._generators = cells, meet, generators
        self._states: dict[Turn, State] = {}
        self._running: Turn | None = None
        self._stops = 0

    def run(self) -> None:
        """Run all; `SystemExit` or `KeyboardInterrupt` where one asked for the sweep's end, or it was told to."""
        live = list(self._cells)
        numbers = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
        with handling(numbers, lambda before: self._note):
            while live:
                for one in live:
                    self._let(one)
                live = [one for one in live if not one.ended]
                if live:
                    self._meet(live)
        faults = [one.fault for one in self._cells if one.fault is not None]
        for kind in (KeyboardInterrupt, SystemExit):
            if found := next((fault for fault in faults if isinstance(fault, kind)), None):
                raise found
        if self._stops:
            raise KeyboardInterrupt

    def _let(self, one: Turn) -> None:
        """Let a cell run, with generators of its own; one that has not begun does not begin after a stop."""
        if self._stops and not one.is_alive():
            one.ended = True
            return
        get, put = self._generators
        before = get()
        put(self._states.get(one, before))
        self._running = one
        one.let()
        self._running = None
        self._states[one] = get()
        put(before)
        if one.ended:
            self._end(one)

    def _end(self, one: Turn) -> None:
        self._states.pop(one, None)
        gc.collect()  # its model, before the next one's
        if isinstance(one.fault, Exception):
            log.error(
                "%s: %s: %s", one.name.removeprefix(PREFIX), type(one.fault).__name__, one.fault
            )  # its record says nothing of it: the summary will
        elif one.fault is not None and not self._stops:
            self._stop("another cell ended the sweep")

    def _stop(self, reason: str) -> None:
        """Have all stop: between two steps, or where they are; at once the second time."""
        self._stops += 1
        for one in self._cells:
            one.stop(reason, self._stops > 1, one is self._running)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stop(signal.Signals(number).name)
