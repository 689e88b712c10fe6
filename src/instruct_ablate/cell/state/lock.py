"""One process per cell, on shared file systems too.

The lock is a file `lock-<generation>` that is linked into place with its content (atomic on NFS as well). Of
several processes that find the same dead owner, the one that manages to make the next generation takes over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from instruct_ablate.cell.state.heartbeat import Owner, is_dead, this_process
from instruct_ablate.cell.state.record_file import CorruptRecordError, from_json, to_json
from instruct_ablate.whole_files import explained

Judge = Callable[[Path, Owner], bool]


class LockedError(Exception):
    """Another process runs this cell."""

    def __init__(self, folder: Path, owner: Owner | None) -> None:
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        super().__init__(f"{folder.name} is being run by {who}")
        self.owner = owner


def holder(folder: Path) -> Owner | None:
    """Say who holds the lock, dead or alive."""
    generations = _generations(folder)
    return _read(folder, generations[-1]) if generations else None


@contextlib.contextmanager
def locked(folder: Path, judge: Judge = is_dead) -> Iterator[Owner]:
    """Hold the cell's lock; `LockedError` where a living process has it."""
    owner = acquire(folder, judge)
    try:
        yield owner
    finally:
        release(folder, owner)


def acquire(folder: Path, judge: Judge = is_dead) -> Owner:
    """Take the lock, from a dead owner too."""
    owner = dataclasses.replace(this_process(), token=uuid.uuid4().hex)
    seen = _generations(folder)
    for generation in seen:
        other = _read(folder, generation)
        if other is not None and not judge(folder, other):
            raise LockedError(folder, other)
    mine = (seen[-1] if seen else 0) + 1
    with explained(folder / f"lock-{mine}"):
        taken = _make(folder, mine, owner)
    others = [n for n in _generations(folder) if n != mine and n not in seen]
    if not taken or others:
        release(folder, owner)
        raise LockedError(folder, _read(folder, others[-1] if others else mine))
    for generation in seen:
        (folder / f"lock-{generation}").unlink(missing_ok=True)
    return owner


def release(folder: Path, owner: Owner) -> None:
    """Give the lock back; a lock that somebody else has taken over meanwhile is left alone."""
    for generation in _generations(folder):
        held = _read(folder, generation)
        if held is not None and held.token == owner.token:
            with contextlib.suppress(OSError):
                (folder / f"lock-{generation}").unlink(missing_ok=True)


def _generations(folder: Path) -> list[int]:
    names = (path.name.partition("-")[2] for path in folder.glob("lock-*"))
    return sorted(int(name) for name in names if name.isdigit())


def _read(folder: Path, generation: int) -> Owner | None:
    try:
        return from_json((folder / f"lock-{generation}").read_text(encoding="utf-8"), Owner)
    except (OSError, CorruptRecordError):
        return None


def _make(folder: Path, generation: int, owner: Owner) -> bool:
    """Make the lock file with its content in one step; False if somebody was faster."""
    path = folder / f"lock-{generation}"
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".lock.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(to_json(owner))
            file.flush()
            os.fsync(file.fileno())
        return _link(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        return _exclusive(target, source.read_bytes())  # a file system without links
    return True


def _exclusive(target: Path, content: bytes) -> bool:
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return True
