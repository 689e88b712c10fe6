"""Signs of life: a small file that a running cell rewrites every few seconds, and how to judge it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from instruct_ablate.cell.state.record.record_file import CorruptRecordError, from_json, to_json
from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.disk.whole_files import read_plain, write_whole
from instruct_ablate.process.progress_lines import ProgressLines

BEAT = 5.0  # seconds between two beats
STALE = 60.0  # seconds without a beat after which a cell counts as dead


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from every other on every host: also after a reboot or a reused pid."""

    host: str
    pid: int
    boot: str  # boot id and pid name space: where `pid` means something
    started: str  # the process's start, in clock ticks since boot
    token: str = ""
    released: bool = False  # given back: the lock is free


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life. `counter` grows with every beat, whatever the clock does."""

    owner: Owner
    counter: int
    time: float
    stage: str = ""  # prepare, train, evaluate
    done: int = 0  # of `total` steps or instances
    total: int = 0
    since: float = 0.0  # when the stage began


def this_process() -> Owner:
    """Describe the calling process."""
    return Owner(socket.gethostname(), os.getpid(), _boot(), _started(os.getpid()) or "")


@cache
def _boot() -> str:
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str | None:
    """Return the start of a process in clock ticks since boot, or None if there is no such process.

    One that has ended, and whose parent has not asked for its end yet (a zombie), is none: it writes no more.
    """
    try:
        # A process's name stands in brackets and may hold brackets itself: what is read follows the last one.
        # The start is field 22 of proc(5), the state field 3.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in ("Z", "X") else rest[18]
    except (OSError, IndexError, ValueError):
        return None


def alive_here(owner: Owner) -> bool | None:
    """Tell whether `owner` runs on this machine; None if it belongs to another one, or to a user who hides it."""
    if owner.host != socket.gethostname() or owner.boot != _boot():
        return None
    started = _started(owner.pid)
    return None if started is None and _hidden(owner.pid) else started == owner.started


def _hidden(pid: int) -> bool:
    """Tell whether a process that /proc does not show is there: a system may hide those of other users."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def read_beat(folder: Path) -> Beat | None:
    """Read a cell's last sign of life."""
    try:
        return from_json(read_plain(folder / "heartbeat").decode(), Beat)
    except (OSError, UnicodeDecodeError, CorruptRecordError):
        return None


def age(path: Path) -> float:
    """Return the age of a file in seconds by the file system's own clock, not by this host's."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".clock.", dir=path.parent) as now:
            return Path(now.name).stat().st_mtime - path.lstat().st_mtime
    except OSError:
        with contextlib.suppress(OSError):
            return time.time() - path.lstat().st_mtime
        return float("inf")


def seems_dead(folder: Path, owner: Owner, stale: float | None = None) -> bool:
    """Judge at a glance (a report must not wait) whether the owner of a running cell is gone."""
    here = alive_here(owner)
    return not here if here is not None else age(folder / "heartbeat") > (STALE if stale is None else stale)


def is_dead(folder: Path, owner: Owner, stale: float | None = None, watch: float | None = None) -> bool:
    """Judge for a take-over: what seems dead is watched; a moving counter is life, whatever clocks say."""
    here = alive_here(owner)
    if here is not None:
        return not here
    # A beat dated ahead of the file system's own clock proves no life: the counter is watched.
    if 0 <= age(folder / "heartbeat") <= (STALE if stale is None else stale):
        return False
    before = read_beat(folder)
    # Long enough for two beats of a process that lives.
    time.sleep(2.5 * BEAT if watch is None else watch)
    after = read_beat(folder)
    return (before and before.counter) == (after and after.counter)


class Heartbeat:
    """Beats in a thread as long as the cell runs; `progress` says how far it is."""

    def __init__(self, folder: Path, owner: Owner, beat: float | None = None) -> None:
        self.owner = owner
        self._folder, self._interval = folder, BEAT if beat is None else beat
        self._last = Beat(owner, 0, time.time(), since=time.time())
        self._lines = ProgressLines()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(Exception), inside_fence(self._folder):  # it may be another process's by now
            (self._folder / "heartbeat").unlink(missing_ok=True)

    def progress(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Note how far the cell is; the next beat tells it."""
        since = self._last.since if stage == self._last.stage else time.time()
        self._last = dataclasses.replace(self._last, stage=stage, done=done, total=total, since=since)
        self._lines.tell(stage, done, total)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._write()

    def _write(self) -> None:
        last = self._last
        self._last = dataclasses.replace(last, counter=last.counter + 1, time=time.time())
        with contextlib.suppress(Exception):  # a full disk must not end the cell through its heartbeat
            # Not flushed to the disk: after a power cut there is no life to tell of.
            write_whole(self._folder / "heartbeat", to_json(self._last), durable=False)
