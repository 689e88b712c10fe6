"""A pool of processes on this machine: one fresh process per cell, each with its GPU and its share of the cores."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from instruct_ablate.cell.killed import TAIL, record_killed, why
from instruct_ablate.cell.store import read_record
from instruct_ablate.errors import UserError
from instruct_ablate.schema import Config

if TYPE_CHECKING:
    from instruct_ablate.grid.sweep import Cell

log = logging.getLogger(__name__)
POLL = 0.05  # seconds between two looks at the processes
WORKER = (sys.executable, "-m", "instruct_ablate.grid.worker")
OUTPUT = "output.txt"  # what a cell's process prints
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Share:
    """What of the machine one process gets; `gpu` is None where there are none."""

    gpu: str | None
    threads: int


@dataclass(frozen=True)
class Running:
    """A cell's process."""

    cell: Cell
    process: subprocess.Popen[bytes]
    share: Share
    since: float


def visible_gpus() -> list[str]:
    """Name the GPUs that may be used, without starting CUDA in this process."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()


def shares(n: int | None, threads: int | None = None) -> list[Share]:
    """Divide the machine into `n` shares; by default one per GPU, else one per four cores."""
    gpus, cores = visible_gpus(), len(os.sched_getaffinity(0))
    n = (len(gpus) or max(1, cores // 4)) if n is None else n
    if n < 1:
        raise UserError(f"hydra.launcher.n={n}: at least 1 cell at once")
    each = threads or max(1, cores // n)
    return [Share(gpus[place % len(gpus)] if gpus else None, each) for place in range(n)]


class Pool:
    """Runs cells side by side. A process that is killed takes no other cell with it."""

    def __init__(self, places: Sequence[Share], worker: Sequence[str] = WORKER) -> None:
        self._free, self._worker = list(places), list(worker)
        self._running: list[Running] = []
        self._stops = 0  # how often the user, or a failure with fail_fast, asked to stop
        self._sent = 0

    def run(self, cells: Sequence[Cell]) -> None:
        """Run the cells; `KeyboardInterrupt` after Ctrl-C, `SystemExit` after a failure with `fail_fast`."""
        waiting, failed = list(cells), False
        with self._listening():
            while self._running or (waiting and not self._stops):
                while waiting and self._free and not self._stops:
                    self._start(waiting.pop(0))
                self._pass_on()
                for ended in [one for one in self._running if one.process.poll() is not None]:
                    if not self._end(ended) and ended.cell.config.fail_fast:
                        failed, self._stops = True, max(self._stops, 1)
                time.sleep(POLL)
        if failed:
            raise SystemExit(1)
        if self._stops:
            raise KeyboardInterrupt

    def _start(self, cell: Cell) -> None:
        share = self._free.pop(0)
        trainer = cell.config.trainer
        config = replace(cell.config, trainer=replace(trainer, threads=trainer.threads or share.threads))
        cell.folder.mkdir(parents=True, exist_ok=True)
        since = time.time()
        with (cell.folder / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                self._worker,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=_environment(share),
                start_new_session=True,  # Ctrl-C reaches the pool alone, which passes it on in order
            )
        _hand_over(process, config)
        where = f" on GPU {share.gpu}" if share.gpu is not None else ""
        log.info("%s: started%s", cell.identity.name, where)
        self._running.append(Running(cell, process, share, since))

    def _end(self, ended: Running) -> bool:
        """Note a process's end; return False if its cell failed."""
        self._running.remove(ended)
        self._free.append(ended.share)
        cell, status = ended.cell, ended.process.returncode
        if status != 0 and not self._stops:
            tail = _tail(cell.folder / OUTPUT)
            record_killed(cell.folder, cell.identity, why(status), ended.since, tail)
        record = read_record(cell.folder, cell.identity.hash)
        state = record.state if record else "missing"
        log.info("%s: %s after %.0f s", cell.identity.name, state, time.time() - ended.since)
        return state != "failed"

    def _pass_on(self) -> None:
        """Pass a wish to stop on to the running cells: politely the first time, at once the second."""
        if self._stops == self._sent:
            return
        self._sent = self._stops
        if self._stops == 1:
            log.warning("stopping after the running cells' checkpoints; once more stops at once")
        for one in self._running:
            if self._stops == 1:
                one.process.terminate()
            else:
                os.killpg(one.process.pid, signal.SIGKILL)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM; whatever happens, no process is left behind."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        mine = threading.current_thread() is threading.main_thread()
        before = {number: signal.getsignal(number) for number in numbers} if mine else {}
        for number in before:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for one in self._running:
                os.killpg(one.process.pid, signal.SIGKILL)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1


def _environment(share: Share) -> dict[str, str]:
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(share.threads))}
    if share.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = share.gpu
    return environment


def _hand_over(process: subprocess.Popen[bytes], config: Config) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(dataclasses.asdict(config)).encode())
        process.stdin.close()
    except BrokenPipeError:
        return  # it died already; its end is noted like any other's


def _tail(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-TAIL:]
    except OSError:
        return ""
