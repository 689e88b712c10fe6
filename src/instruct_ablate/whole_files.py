"""Files that are whole or not there: written under a temporary name, synchronised, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from instruct_ablate.errors import UserError


def write_whole(path: Path, text: str, durable: bool = True) -> None:
    """Write `text` to `path` so that a reader sees the old file or the new one, never a part.

    With `durable` the content and the folder's entry reach the disk before the call returns.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable; file systems that cannot are left as they are."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors of a full, read-only or forbidden disk into one clear message."""
    try:
        yield
    except OSError as error:
        said = {
            errno.ENOSPC: "the disk is full; free some space (`instruct-ablate clean` shows what could go)",
            errno.EDQUOT: "your quota on this disk is used up",
            errno.EROFS: "the file system is read-only; choose another folder with output=PATH",
            errno.EACCES: "no permission to write there; choose another folder with output=PATH",
            errno.EPERM: "no permission to write there; choose another folder with output=PATH",
            errno.ENOTDIR: "a file stands where a folder is needed; choose another output=PATH or study=NAME",
        }.get(error.errno or 0)
        if said is None:
            raise
        raise UserError(f"cannot write {path}: {said}") from error
