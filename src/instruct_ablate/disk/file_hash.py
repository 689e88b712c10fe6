"""Hashes of files' contents, remembered only where it is certain that a file is still as it was.

Size and time of change do not name a content: a file written twice within one tick of a coarse clock keeps both, and
copying tools set the time back. A hash is therefore remembered with all that the system notes of a change (its own
time of change too, which no program sets), and only if that was SETTLED seconds ago when the file was read: whoever
writes later leaves another mark. Younger files are read again each time.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

SETTLED = 3.0  # seconds: more than the coarsest clock of a file system (FAT's two)
BLOCK = 1 << 22
Mark = tuple[
    int, int, int, int
]  # size, time of change as programs see it, and as the system notes it (ns), inode


def mark(path: Path) -> Mark | None:
    """Return what the system notes of a file; None where there is none to read."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def settled(seen: Mark | None) -> bool:
    """Tell whether a file was last changed so long ago (or is not there) that a change will leave another mark."""
    return seen is None or max(seen[1:3]) < (time.time() - SETTLED) * 1e9


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_again(path: Path, known: tuple[str, Mark] | None) -> tuple[str, Mark | None]:
    """Return a file's hash, and its mark where the hash may be remembered with it; `known` is what was remembered."""
    before = mark(path)
    if known is not None and known[1] == before:
        return known[0], before
    certain = settled(before)
    content = sha256_of(path)
    return content, before if certain and mark(path) == before else None
