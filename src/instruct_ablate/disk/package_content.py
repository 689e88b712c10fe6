"""The hash of this package's own files: what it prepares for later cells is made anew when its code changes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from instruct_ablate import STARTED
from instruct_ablate.disk.file_hash import SETTLED, mark

PACKAGE = Path(__file__).parents[1]


@cache
def package_content() -> str | None:
    """Return the hash of all files; None where one changed since this process began: what it runs may be neither."""
    return content_of(PACKAGE, STARTED)


def content_of(folder: Path, started: float) -> str | None:
    """Hash a folder's files, compiled ones aside; None where one changed after `started`, in seconds of the clock."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts or not path.is_file():
            continue
        seen = mark(path)
        if seen is None or max(seen[1:3]) > (started - SETTLED) * 1e9:
            return None
        digest.update(f"{path.relative_to(folder).as_posix()}\0{seen[0]}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
