"""A prepared folder of the cache: made once, whole or not at all, however many processes ask for it."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from instruct_ablate.errors import UserError

log = logging.getLogger(__name__)


def prepared(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, made by `build` if it is not there yet; one process builds, the others wait.

    `build` writes into a temporary folder that takes its final name in one step. What a killed builder
    left is removed by the next one (the lock dies with its holder).
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    with _held(lock, folder):
        if not folder.is_dir():
            _build(folder, build)
    return folder


def _held(lock: FileLock, folder: Path) -> FileLock:
    """Take the lock, saying so when another process has it."""
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.info("another process is preparing %s; waiting for it", folder)
        lock.acquire()
    return lock


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    """Build beside the final place and rename; leave nothing behind on failure."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        build(unfinished)
        unfinished.rename(folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"the disk is full: could not prepare {folder}. Free some space, or set cache=... elsewhere."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
