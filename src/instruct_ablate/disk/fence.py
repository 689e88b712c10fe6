"""Who may write in a folder: asked before each write, and nobody takes the folder over between question and rename.

What is renamed, removed or appended is done in a gate: a shared `flock` on the lock file of the process that has the
folder. Who takes it over holds that gate alone, and finds it held where somebody was suspended inside. File systems
without such locks, or that lose them with a host, leave the moment between the question and the rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fence:
    """What stands around a folder: how many processes have had it, one after another, whom to ask, and the gate."""

    generation: int
    check: Callable[[], None]
    gate: Path | None = None


_FENCES: dict[str, Fence] = {}


def fence(folder: Path, one: Fence) -> None:
    """Let `check` be asked before anything in a folder is written; it raises once this process may no longer.

    Files that grow have the generation in their names.
    """
    _FENCES[str(folder.absolute())] = one


def open_fence(folder: Path) -> None:
    """Ask no more."""
    _FENCES.pop(str(folder.absolute()), None)


def check_fence(path: Path) -> int | None:
    """Ask whether `path` may be written; return the generation that writes it."""
    generation = None
    for one in _around(path):
        generation = one.generation
        one.check()
    return generation


@contextlib.contextmanager
def inside_fence(path: Path) -> Iterator[None]:
    """Ask whether `path` may be written, and let nobody take its folder over until the block has ended."""
    with contextlib.ExitStack() as gates:
        for one in _around(path):
            if one.gate is not None:
                gates.enter_context(_locked(one.gate, fcntl.LOCK_SH))
            one.check()
        yield


@contextlib.contextmanager
def shut(gate: Path) -> Iterator[None]:
    """Let nobody write behind a gate; `BlockingIOError` where somebody does."""
    with _locked(gate, fcntl.LOCK_EX | fcntl.LOCK_NB):
        yield


def _around(path: Path) -> list[Fence]:
    place = path.absolute()
    folders = map(str, (place, *place.parents)) if _FENCES else ()
    return [_FENCES[folder] for folder in folders if folder in _FENCES]


@contextlib.contextmanager
def _locked(gate: Path, operation: int) -> Iterator[None]:
    """Hold a file's `flock`; where there is no such file, or no such lock, nothing is held."""
    handle = _opened(gate)
    if handle is None:
        yield
        return
    try:
        try:
            fcntl.flock(handle, operation)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without: what is asked next has to do
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # for those too that were forked meanwhile
        os.close(handle)


def _opened(gate: Path) -> int | None:
    for rights in (
        os.O_RDWR,
        os.O_RDONLY,
    ):  # NFS locks what may be written; one's group may let one only read
        with contextlib.suppress(OSError):
            return os.open(gate, rights | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return None
