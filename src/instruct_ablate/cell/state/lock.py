"""One process per cell, on shared file systems too.

The lock is a file `lock-<generation>` that is linked into place with its content (atomic on NFS as well). Of
several processes that find the same dead owner, the one that manages to make the next generation takes over. A lock
that is given back stays, marked as free: generations never start again. Who was taken for dead and wakes finds a later
generation than its own, and every write of its refuses.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from instruct_ablate.cell.state import heartbeat
from instruct_ablate.cell.state.heartbeat import Heartbeat, Owner, age, is_dead, this_process
from instruct_ablate.cell.state.record.record_file import CorruptRecordError, from_json, to_json
from instruct_ablate.disk.fence import Fence, fence, open_fence, shut
from instruct_ablate.disk.whole_files import (
    explained,
    follow_mode,
    make_folder,
    read_plain,
    remove,
    write_whole,
)

Judge = Callable[[Path, Owner], bool]
UNKNOWN = Owner("another user's machine", 0, "", "")  # whose lock cannot be read


class LockedError(Exception):
    """Another process runs this cell."""

    def __init__(self, folder: Path, owner: Owner | None) -> None:
        who = f"process {owner.pid} on {owner.host}" if owner and owner.pid else "another process"
        why = " (its lock is another user's, and may not be read)" if owner == UNKNOWN else ""
        super().__init__(f"{folder.name} is being run by {who}{why}")
        self.owner = owner


class TakenOverError(LockedError):
    """This process was taken for dead, and another one runs the cell: nothing more may be written."""

    def __init__(self, folder: Path, owner: Owner | None) -> None:
        super().__init__(folder, owner)
        self.args = (f"{self}: it took over while this process did not beat, which stops here",)


def holder(folder: Path) -> Owner | None:
    """Say who holds the lock, dead or alive; `UNKNOWN` where that cannot be read."""
    generations = _generations(folder)
    try:
        owner = _read(folder, generations[-1]) if generations else None
    except PermissionError:
        return UNKNOWN
    return owner if owner and not owner.released else None


@contextlib.contextmanager
def locked(folder: Path, judge: Judge = is_dead) -> Iterator[Heartbeat]:
    """Hold the cell's lock and beat; `LockedError` where a living process has it."""
    owner = acquire(folder, judge)
    try:
        with Heartbeat(folder, owner) as alive:
            yield alive
    finally:
        release(folder, owner)


def acquire(folder: Path, judge: Judge = is_dead) -> Owner:
    """Take the lock, from a dead owner too; from then on this process writes there only while it has it."""
    owner = dataclasses.replace(this_process(), token=uuid.uuid4().hex)
    seen = _generations(folder)
    for generation in seen:
        _refuse_held(folder, generation, judge)
    mine = (seen[-1] if seen else 0) + 1
    try:
        # The former lock is the gate of its owner's writes: nobody may stand between asking for it and renaming.
        with shut(folder / f"lock-{mine - 1}"):
            _take(folder, seen, mine, owner)
    except (
        BlockingIOError
    ) as error:  # whoever has it is suspended between asking and renaming, or takes it over
        raise LockedError(folder, holder(folder)) from error
    fence(folder, Fence(mine, lambda: _check_held(folder, mine, owner), folder / f"lock-{mine}"))
    return owner


def _take(folder: Path, seen: Sequence[int], mine: int, owner: Owner) -> None:
    """Make the next generation, and remove those before."""
    with explained(folder / f"lock-{mine}"):
        taken = _make(folder, mine, owner)
    # A generation that was not there when we looked is another process's of this moment: we step back.
    others = [n for n in _generations(folder) if n != mine and n not in seen]
    if not taken or others:
        if taken:
            (folder / f"lock-{mine}").unlink(missing_ok=True)
        raise LockedError(folder, holder(folder))
    # Once ours is there: generations never start again, so that the folder is never without a lock.
    for generation in seen:
        with contextlib.suppress(OSError):
            remove(folder / f"lock-{generation}")


def release(folder: Path, owner: Owner) -> None:
    """Give the lock back; a lock that somebody else has taken over meanwhile is left alone."""
    open_fence(folder)
    generations = _generations(folder)
    with contextlib.suppress(OSError):
        held = _read(folder, generations[-1]) if generations else None
        if held is not None and held.token == owner.token:
            free = dataclasses.replace(owner, released=True)
            write_whole(folder / f"lock-{generations[-1]}", to_json(free), durable=False)


def _check_held(folder: Path, generation: int, owner: Owner) -> None:
    """Refuse to go on where this process no longer has the lock."""
    generations = _generations(folder)
    held = holder(folder)
    if generations[-1:] != [generation] or held is None or held.token != owner.token:
        raise TakenOverError(folder, held)


def _refuse_held(folder: Path, generation: int, judge: Judge) -> None:
    """Raise `LockedError` unless a lock is free, gone, or its owner dead; what cannot be read is held."""
    try:
        owner = _read(folder, generation)
    except PermissionError as error:
        raise LockedError(folder, UNKNOWN) from error
    if owner is None:  # being written, on a file system without links, or damaged
        held = 0 <= age(folder / f"lock-{generation}") <= heartbeat.STALE
    else:
        held = not owner.released and not judge(folder, owner)
    if held and (folder / f"lock-{generation}").exists():
        raise LockedError(folder, owner)


def _generations(folder: Path) -> list[int]:
    names = (path.name.partition("-")[2] for path in folder.glob("lock-*"))
    return sorted(int(name) for name in names if name.isdecimal() and name.isascii())


def _read(folder: Path, generation: int) -> Owner | None:
    """Read an owner; None where the file is gone, or none; `PermissionError` where it may not be read."""
    try:
        return from_json(read_plain(folder / f"lock-{generation}").decode(), Owner)
    except PermissionError:
        raise
    except (OSError, UnicodeDecodeError, CorruptRecordError):
        return None


def _make(folder: Path, generation: int, owner: Owner) -> bool:
    """Make the lock file with its content in one step; False if somebody was faster."""
    path = folder / f"lock-{generation}"
    make_folder(folder)
    handle, temporary = tempfile.mkstemp(prefix=".lock.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(to_json(owner))
            file.flush()
            # Before it has its name: a lock without content names no owner.
            os.fsync(file.fileno())
        follow_mode(Path(temporary))
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
        file.flush()
        os.fsync(handle)
    follow_mode(target)
    return True
