"""The manifest: an archive's first file, which names every further one with its size and checksum."""

from __future__ import annotations

from dataclasses import dataclass

from instruct_ablate.cell.state.record.record_file import (
    CorruptRecordError,
    OtherFormatError,
    decode,
    loaded,
    to_json,
)
from instruct_ablate.disk.whole_files import is_inside
from instruct_ablate.errors import UserError, in_a_line

MANIFEST = "manifest.json"
REPORT, STUDY = "report", "study"  # folders of an archive, beside the lock files
VERSION = 1
LONGEST = 64 * 2**20  # bytes of a manifest


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds: its study's name, and its files in the order in which they stand there."""

    study: str
    files: tuple[Entry, ...]
    archive: int = VERSION


def manifest_text(manifest: Manifest) -> str:
    """Write a manifest."""
    return to_json(manifest)


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest; one that names a file outside the archive, or one twice, is refused."""
    try:
        raw = loaded(data.decode())
        # Before it is decoded: fields that only a newer version knows would pass for damage.
        if isinstance(raw.get("archive"), int) and raw["archive"] > VERSION:
            raise UserError(f"it was written in format {raw['archive']} by a newer version")
        manifest = decode(raw, Manifest)
    except (CorruptRecordError, OtherFormatError, UnicodeDecodeError) as error:
        raise UserError(f"its {MANIFEST} cannot be read ({in_a_line(error, 100)})") from error
    names = [manifest.study, *(entry.name for entry in manifest.files)]
    for name in names:
        check_member_name(name)
    # Folded, for where letters' case does not count the second of two such files would be written over the first.
    if "/" in manifest.study or len({name.casefold() for name in names[1:]}) < len(manifest.files):
        raise UserError(f"its {MANIFEST} names a file twice, or its study is called by a path")
    return manifest


def check_member_name(name: str) -> None:
    """Refuse a name that is not that of a file inside the archive, on whatever system it is unpacked."""
    parts = name.split("/")
    # 255 bytes are what file systems take for one name.
    sound = is_inside(name) and not any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
    # Backslashes and drives (C:) lead out of the folder on Windows, where this one may be unpacked; control characters
    # would reach a terminal.
    if not sound or "\\" in name or ":" in parts[0] or any(ord(letter) < 32 for letter in name):
        raise UserError(f"{name[:100]!r} is no name of a file inside it")
