"""Work of a report that runs beside the rest, in a process of its own where that is safe; what it gives is the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

T = TypeVar("T")
LONGEST = 900.0  # seconds: what takes longer hangs, and is done here


class Beside(Generic[T]):
    """Work that begins at once; `result` waits for it, or does it here where no other process could."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._there = _begin(work) if can_fork() else None

    def result(self) -> T:
        """Return what the work returned. What failed or died there is done again here, and raises here."""
        if self._there is not None:
            process, answer = self._there
            try:
                if answer.poll(LONGEST):
                    return answer.recv()  # type: ignore[no-any-return]
            except EOFError:  # it was killed, or raised
                pass
            finally:
                process.join(1.0)  # nothing that has ended stays behind as a child
        return self._work()


def can_fork() -> bool:
    """Whether a copy of this process can work: with one thread, without torch's own, and a core to run on."""
    return (
        hasattr(os, "fork")
        and threading.active_count() == 1
        and "torch" not in sys.modules
        and not multiprocessing.current_process().daemon
        and (os.cpu_count() or 1) > 1
    )


def _begin(work: Callable[[], T]) -> tuple[BaseProcess, Connection]:
    """Start a copy of this process on the work; return it, and the end of the pipe where its answer comes out."""
    context = multiprocessing.get_context("fork")
    answer, told = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, told), daemon=True)
    process.start()
    told.close()  # here: what is left open there ends with that process
    return process, answer


def _work(work: Callable[[], T], told: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is asked, and takes this one with it
    try:
        told.send(work())
    except Exception:  # told by the first process, which tries it again
        told.close()
