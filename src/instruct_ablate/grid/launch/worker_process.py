"""A process of the pool, as the pool sees it: given cells one by one, watched, ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from instruct_ablate.cell.after.post_mortem import TAIL
from instruct_ablate.disk.whole_files import make_folder, make_way, read_plain
from instruct_ablate.grid.launch.worker import READY, order

if TYPE_CHECKING:
    from instruct_ablate.grid.planned_cell import Cell

WORKER = (sys.executable, "-m", "instruct_ablate.grid.launch.worker")
OUTPUT = "output.txt"  # what is printed while a cell runs
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# Of torch and numpy, whichever library they were built with, and of tokenizers (Rust's rayon).
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Share:
    """What of the machine one process gets; `gpu` is None where there are none."""

    gpu: str | None
    threads: int


class WorkerProcess:
    """A process with its share of the machine; it runs at most `cells` cells, one after another."""

    def __init__(self, command: Sequence[str], share: Share, first: Cell, cells: int) -> None:
        self.share, self._left = share, cells
        self._extensions = list(first.config.extensions)
        self._answers, answers = os.pipe()
        # The pool looks at all its processes in turn, and must not wait for one of them.
        os.set_blocking(self._answers, False)
        make_folder(first.folder)
        make_way(first.folder / OUTPUT)
        with (first.folder / OUTPUT).open("ab") as output:
            self._process = subprocess.Popen(
                [*command, str(answers)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=_environment(share),
                pass_fds=[answers],
                start_new_session=True,  # Ctrl-C reaches the pool alone, which passes it on in order
                preexec_fn=partial(_follow_parent, os.getpid()),  # noqa: PLW1509 - it takes no lock
            )
        os.close(answers)
        self.give(first)

    @property
    def pid(self) -> int:
        """Its process id, and that of the group of all it starts."""
        return self._process.pid

    def give(self, cell: Cell) -> None:
        """Let it run a cell."""
        self.cell: Cell | None = cell
        self.since = time.time()
        self._left -= 1
        make_folder(cell.folder)
        make_way(cell.folder / OUTPUT)
        trainer = cell.config.trainer
        config = replace(cell.config, trainer=replace(trainer, threads=trainer.threads or self.share.threads))
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died already; its end is noted like any other's
            self._process.stdin.write(order(config, cell.folder / OUTPUT, last=self._left == 0))
            self._process.stdin.flush()

    def takes(self, cell: Cell) -> bool:
        """Whether it may run this cell next: what extensions have registered cannot be taken back."""
        return self._left != 0 and list(cell.config.extensions) == self._extensions

    def ready(self) -> bool:
        """Whether it has ended its cell and waits for the next."""
        try:
            return os.read(self._answers, len(READY)) == READY
        except BlockingIOError:
            return False

    def ended(self) -> int | None:
        """Return its exit status, None while it lives."""
        return self._process.poll()

    def dismiss(self) -> None:
        """Let it end: there is nothing more to do for it."""
        self.cell = None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self, at_once: bool) -> None:
        """Stop it, after its cell's checkpoint or at once with all it started."""
        if at_once:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.terminate()

    def close(self) -> None:
        """Close the pipes to a process that has ended."""
        self.dismiss()
        os.close(self._answers)

    def last_words(self) -> str:
        """Return the end of what was printed while its cell ran."""
        assert self.cell is not None
        try:
            text = read_plain(self.cell.folder / OUTPUT).decode(errors="replace")
        except OSError:
            return ""
        return text[-TAIL:]


def _follow_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the sweep dies: a cell then stops after its checkpoint.

    Done between fork and exec, so that there is no moment without it; a parent that died before is noticed after.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)


def _environment(share: Share) -> dict[str, str]:
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(share.threads))}
    if share.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = share.gpu
    return environment
