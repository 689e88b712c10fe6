"""Unpacking: an archive's files into a new folder, each as its manifest says; nothing outside it is ever written."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from instruct_ablate.archive.forms import Member, opened_members
from instruct_ablate.archive.manifest import (
    LONGEST,
    MANIFEST,
    Entry,
    Manifest,
    check_member_name,
    parse_manifest,
)
from instruct_ablate.disk.whole_files import explained, make_folder
from instruct_ablate.errors import UserError
from instruct_ablate.plural import counted

MOST_FILES = 200_000
LIMIT = 8 * 2**30  # bytes of all files together, unless the command says otherwise


def unpack(archive: Path, target: Path, limit: int = LIMIT) -> Manifest:
    """Unpack an archive into `target`, which is made; a fault leaves nothing behind."""
    if not archive.is_file():
        raise UserError(f"no archive at {archive}.")
    if target.exists() or target.is_symlink():
        raise UserError(f"{target} is there already: choose another --output, or remove it first.")
    with explained(target, key="--output"):
        make_folder(target.parent)
        # Beside the target, so that it takes its name in one step, on the same file system.
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=target.parent))
    try:
        with opened_members(archive) as members:
            manifest = _unpacked(archive, members, temporary, limit)
        # What mkdtemp makes nobody else may read.
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _unpacked(archive: Path, members: Iterator[Member], folder: Path, limit: int) -> Manifest:
    try:
        manifest = _manifest(members)
        # Against small files that unpack to more than a disk holds; a size below zero must not make up for another.
        total = sum(max(entry.size, 0) for entry in manifest.files)
        if total > limit or len(manifest.files) > MOST_FILES:
            raise UserError(
                f"it holds {counted(len(manifest.files), 'file')} of {total / 2**30:.1f} GiB, and at most "
                f"{MOST_FILES:,} files of {limit / 2**30:.1f} GiB are unpacked; --limit GIB takes more"
            )
        for entry in manifest.files:
            _write(next(members, None), entry, folder)
        if (further := next(members, None)) is not None:
            raise UserError(f"{further[0][:100]!r} in it is not in its manifest")
    except UserError as fault:
        raise UserError(f"{archive} is refused: {fault}.") from fault
    return manifest


def _manifest(members: Iterator[Member]) -> Manifest:
    first = next(members, None)
    if first is None or first[0] != MANIFEST or first[1] > LONGEST:
        raise UserError(f"its first file is no {MANIFEST}, so it is no archive of a study")
    _, size, content = first
    parts, left = [], size
    while left > 0 and (part := content.read(min(left, 2**20))):
        parts.append(part)
        left -= len(part)
    return parse_manifest(b"".join(parts))


def _write(member: Member | None, entry: Entry, folder: Path) -> None:
    """Write one file, which must be the one that the manifest has in this place, byte for byte."""
    if member is None:
        raise UserError(f"{entry.name[:100]!r} of its manifest is not there")
    name, size, content = member
    check_member_name(name)
    if (name, size) != (entry.name, entry.size):
        raise UserError(f"{name[:100]!r} stands where its manifest has {entry.name[:100]!r}")
    path, seen, left = folder / name, hashlib.sha256(), entry.size
    with explained(path, key="--output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while left > 0 and (part := content.read(min(left, 2**20))):
                seen.update(part)
                left -= len(part)
                file.write(part)
    if left or seen.hexdigest() != entry.sha256:
        raise UserError(f"{name[:100]!r} is not as it was archived")
