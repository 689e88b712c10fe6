"""A prepared folder of the cache: made once, whole or not at all, however many processes ask for it.

Its manifest lists every file with size, checksum and time of change. Each opening compares the sizes, and the content
of small folders and of files whose time of change is another; `damage(folder, whole=True)` compares all. What is
damaged is put aside and built again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock, Timeout

from instruct_ablate.disk.file_hash import sha256_of
from instruct_ablate.disk.whole_files import (
    explained,
    follow_mode,
    make_folder,
    put_aside,
    read_plain,
    remove,
    shared_lock,
    sync_folder,
    write_whole,
)
from instruct_ablate.errors import UserError, with_kind

log = logging.getLogger(__name__)
T = TypeVar("T")
MANIFEST = "manifest.json"
SMALL = 1 << 25  # bytes; a folder up to this is compared whole at each opening
_UNREADABLE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError)


class DamagedError(Exception):
    """A prepared folder is not what was built."""


def prepared(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, made by `build` if it is not there yet; one process builds, the others wait.

    `build` writes into a temporary folder that takes its final name in one step. What a killed builder
    left is removed by the next one (the lock dies with its holder).
    """
    return prepared_as(folder, build, lambda whole: whole)


def prepared_as(folder: Path, build: Callable[[Path], None], read: Callable[[Path], T]) -> T:
    """Return what `read` makes of `folder`, as `prepared`; a folder that it cannot read is damaged, too."""
    if os.path.lexists(folder):
        try:
            return _opened(folder, read)
        except DamagedError:
            pass  # looked at again under the lock: another process may be mending it
    with _held(_lock(folder), folder):
        if os.path.lexists(folder):
            try:
                return _opened(folder, read)
            except DamagedError as fault:
                log.warning("%s is damaged (%s): it is put aside and built again", folder, fault)
        _build(folder, build)
    return read(folder)


def damage(folder: Path, whole: bool = False) -> str | None:
    """Say what is wrong with a prepared folder; None where nothing is. `whole`: compare every byte."""
    try:
        _check(folder, whole)
    except DamagedError as fault:
        return str(fault)
    return None


def _opened(folder: Path, read: Callable[[Path], T]) -> T:
    _check(folder, whole=False)
    try:
        return read(folder)
    except _UNREADABLE as error:
        raise DamagedError(with_kind(error)) from error


def _lock(folder: Path) -> BaseFileLock:
    return shared_lock(folder.with_name(f".{folder.name}.lock"), "cache")


def _held(lock: BaseFileLock, folder: Path) -> BaseFileLock:
    """Take the lock, saying so when another process has it."""
    with explained(folder, "cache"):
        try:
            lock.acquire(timeout=1)
        except Timeout:
            log.info("another process is preparing %s; waiting for it", folder)
            lock.acquire()
    return lock


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    """Build beside the final place and rename; leave nothing behind on failure."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    with explained(folder, "cache"):
        remove(unfinished)
        make_folder(unfinished)
    try:
        with explained(folder, "cache", (errno.ENOSPC, errno.EDQUOT)):
            build(unfinished)
        with explained(folder, "cache"):
            _seal(unfinished)
            if os.path.lexists(folder):
                put_aside(folder)
            unfinished.rename(folder)
            sync_folder(folder.parent)
    finally:
        remove(unfinished)


def _seal(folder: Path) -> None:
    """Bring all files to the disk and note what they are."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        follow_mode(path)
        if path.is_dir():
            sync_folder(path)
            continue
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        entries[path.relative_to(folder).as_posix()] = _entry(path)
    _write_manifest(folder, entries)


def _entry(path: Path) -> list[Any]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, sha256_of(path)]


def _write_manifest(folder: Path, entries: dict[str, list[Any]]) -> None:
    # The list is kept as a text of its own, so that the very characters that are read are those that were hashed.
    text = json.dumps(entries, indent=1, sort_keys=True)
    write_whole(folder / MANIFEST, json.dumps({"sha256": _digest(text.encode()), "files": text}), key="cache")


def _check(folder: Path, whole: bool) -> None:
    """Compare a folder with its manifest; `DamagedError` where they differ."""
    if folder.is_symlink() or not folder.is_dir():
        raise DamagedError("not a folder")
    entries = _manifest(folder)
    whole = whole or sum(size for size, _, _ in entries.values()) <= SMALL
    touched = [name for name, entry in entries.items() if _compare(folder, name, entry, whole)]
    if touched:
        _renew(folder, entries, touched)


def _renew(folder: Path, entries: dict[str, list[Any]], touched: Sequence[str]) -> None:
    """Note new times of change of files that are the same: the next opening is quick again."""
    for name in touched:
        entries[name][1] = (folder / name).stat().st_mtime_ns
    try:
        _write_manifest(folder, entries)
    except (OSError, UserError):
        log.debug("%s: its manifest cannot be renewed", folder)


def _manifest(folder: Path) -> dict[str, list[Any]]:
    try:
        told = json.loads(read_plain(folder / MANIFEST))
        if _digest(told["files"].encode()) != told["sha256"]:
            raise DamagedError(f"{MANIFEST} is not as it was written")
        entries: dict[str, list[Any]] = json.loads(told["files"])
    except _UNREADABLE as error:
        raise DamagedError(f"{MANIFEST}: {getattr(error, 'strerror', None) or error}") from error
    return entries


def _compare(folder: Path, name: str, entry: list[Any], whole: bool) -> bool:
    """Compare one file; True for one that is the same with another time of change."""
    (size, changed, digest), path = entry, folder / name
    try:
        # Not `stat`: a link would be taken for the file that it leads to.
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            raise DamagedError(f"{name}: not a plain file")
        if state.st_size != size:
            raise DamagedError(f"{name}: {state.st_size} bytes where {size} were written")
        untouched = state.st_mtime_ns == changed
        if (whole or not untouched) and sha256_of(path) != digest:
            raise DamagedError(f"{name}: its content is not what was written")
    except OSError as error:
        raise DamagedError(f"{name}: {error.strerror}") from error
    return not untouched


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
