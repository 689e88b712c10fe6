"""A pool of processes on this machine, fresh for each cell or warm, each with its GPU and share of the cores."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from instruct_ablate.cell.after.post_mortem import record_killed, why
from instruct_ablate.cell.state.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.grid.launch.worker_process import WORKER, Share, WorkerProcess
from instruct_ablate.limits import whole
from instruct_ablate.process.processes import handling

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell

log = logging.getLogger(__name__)
LIMITS = {  # of hydra.launcher
    "n": whole(1, 4096).or_null("for one a GPU, or one for four cores"),
    "threads": whole(1, 4096).or_null("for an equal share of the cores"),
    "cells_per_process": whole(0),
}
DEVICES = Path("/dev")
POLL = 0.05  # seconds between two looks at the processes


def visible_gpus() -> list[str]:
    """Name the GPUs that may be used, without starting CUDA in this process.

    Containers may have GPUs and no nvidia-smi: there they are numbered as CUDA numbers those it sees.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except FileNotFoundError:
        return [str(number) for number, _ in enumerate(DEVICES.glob("nvidia[0-9]*"))]
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()


def shares(n: int | None, threads: int | None = None) -> list[Share]:
    """Divide the machine into `n` shares; by default one per GPU, else one per four cores."""
    # Not `os.cpu_count()`, which counts cores that a batch system or taskset has given to others, too.
    gpus, cores = visible_gpus(), len(os.sched_getaffinity(0))
    n = (len(gpus) or max(1, cores // 4)) if n is None else n
    if n < 1:
        raise UserError(f"hydra.launcher.n={n}: at least 1 cell at once")
    each = threads or max(1, cores // n)
    return [Share(gpus[place % len(gpus)] if gpus else None, each) for place in range(n)]


class Pool:
    """Runs cells side by side. A process that is killed takes no other cell with it.

    `cells_per_process`: how many cells a process runs, one after another, before a fresh one takes its place; 0: all.
    """

    def __init__(
        self, places: Sequence[Share], worker: Sequence[str] = WORKER, cells_per_process: int = 1
    ) -> None:
        if cells_per_process < 0:
            raise UserError(
                f"hydra.launcher.cells_per_process={cells_per_process}: 1 (a fresh process per cell), more, or "
                "0 (as many as there are)"
            )
        self._free, self._worker = list(places), list(worker)
        self._cells = cells_per_process or -1  # counts down to 0, which -1 never reaches
        self._running: list[WorkerProcess] = []
        self._waiting: list[Cell] = []
        self._stops = 0  # how often the user, or a failure with fail_fast, asked to stop
        self._sent = 0
        self._failed = False

    def run(self, cells: Sequence[Cell]) -> None:
        """Run the cells; `KeyboardInterrupt` after Ctrl-C, `SystemExit` after a failure with `fail_fast`."""
        self._waiting = list(cells)
        with self._listening():
            while self._running or (self._waiting and not self._stops):
                while self._waiting and self._free and not self._stops:
                    cell, share = self._waiting.pop(0), self._free.pop(0)
                    self._running.append(WorkerProcess(self._worker, share, cell, self._cells))
                    _tell_start(cell, share)
                self._pass_on()
                for one in list(self._running):
                    self._look(one)
                time.sleep(POLL)
        if self._failed:
            raise SystemExit(1)
        if self._stops:
            raise KeyboardInterrupt

    def _look(self, one: WorkerProcess) -> None:
        """See what has become of a process and its cell."""
        if one.ready():
            self._tell_end(one)
            if self._waiting and not self._stops and one.takes(self._waiting[0]):
                one.give(cell := self._waiting.pop(0))
                _tell_start(cell, one.share)
            else:
                one.dismiss()
        elif (status := one.ended()) is not None:
            self._running.remove(one)
            self._free.append(one.share)
            if one.cell is not None:
                # Ended by our own signals a cell is interrupted, not failed.
                if status != 0 and not self._stops:
                    words = one.last_words()
                    record_killed(one.cell.folder, one.cell.identity, why(status), one.since, words)
                self._tell_end(one)
            one.close()

    def _tell_end(self, one: WorkerProcess) -> None:
        """Say how a cell ended; a failure may be the end of the sweep."""
        assert one.cell is not None
        record = read_record(one.cell.folder, one.cell.identity.hash)
        state = record.state if record else "missing"
        log.info("%s: %s after %.0f s", one.cell.identity.name, state, time.time() - one.since)
        if state == "failed" and one.cell.config.fail_fast:
            self._failed, self._stops = True, max(self._stops, 1)

    def _pass_on(self) -> None:
        """Pass a wish to stop on to the running cells: politely the first time, at once the second."""
        if self._stops == self._sent:
            return
        self._sent = self._stops
        if self._stops == 1:
            log.warning("stopping after the running cells' checkpoints; once more stops at once")
        for one in self._running:
            one.stop(at_once=self._stops > 1)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM; whatever happens, no process is left behind."""
        with handling((signal.SIGINT, signal.SIGTERM), lambda before: self._note):
            try:
                yield
            finally:
                for one in self._running:
                    one.stop(at_once=True)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1


def _tell_start(cell: Cell, share: Share) -> None:
    log.info("%s: started%s", cell.identity.name, f" on GPU {share.gpu}" if share.gpu is not None else "")
