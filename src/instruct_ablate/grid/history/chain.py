"""Chains: files of a study that only grow, a line an entry, each with a hash of itself and of the line before.

An entry can so be named elsewhere, and an edit shows. What is read is data: a damaged line is said, and never raised.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Generic, TypeVar

from instruct_ablate.cell.state.record.record_file import CorruptRecordError, decode
from instruct_ablate.cell.state.store import now
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import NOT_AS_WRITTEN, put_aside, read_plain, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What every entry carries."""

    time: float = 0.0  # seconds since the epoch
    before: str = ""  # hash of the line before
    hash: str = ""
    version: int = 1

    @property
    def date(self) -> str:
        """When it was written."""
        return datetime.fromtimestamp(self.time, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Chain(Generic[E]):
    """A file of entries of one kind; `version` is the newest that is read."""

    file: str
    kind: type[E]
    noun: str
    version: int = 1

    def read(self, folder: Path) -> tuple[tuple[E, ...], tuple[str, ...]]:
        """Return a study's entries in order, and what of the file cannot be read."""
        aside = sorted(folder.glob(f"{self.file}.damaged-*"))
        faults = [f"{path.name}: it was damaged and put aside" for path in aside]
        try:
            lines = read_plain(folder / self.file).decode().splitlines()
        except FileNotFoundError:
            return (), tuple(faults)
        except (OSError, UnicodeDecodeError) as error:
            return (), (*faults, f"{self.file} cannot be read ({type(error).__name__})")
        entries: list[E] = []
        for number, line in enumerate(lines, 1):
            try:
                entries.append(self._read(line, entries[-1].hash if entries else ""))
            except CorruptRecordError as fault:
                faults.append(f"{self.file}, line {number}: {fault}")
        return tuple(entries), tuple(faults)

    def add(self, folder: Path, entry: E) -> E:
        """Add an entry as of now behind the last one that can be read; the caller holds the study's declaration."""
        entries, _ = self.read(folder)
        dated = replace(entry, time=now(), before=entries[-1].hash if entries else "", version=self.version)
        whole = replace(dated, hash=_hash(dated))
        line = json.dumps(asdict(whole), ensure_ascii=False)
        # Written whole and renamed, not appended to: a kill leaves no half line for the next entry to follow.
        write_whole(folder / self.file, f"{self._text(folder)}{line}\n")
        return whole

    def _text(self, folder: Path) -> str:
        """Return what is written so far; what is no text file is put aside, and read as damaged from there."""
        try:
            text = read_plain(folder / self.file).decode()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            put_aside(folder / self.file)
            return ""
        return text if text.endswith("\n") or not text else f"{text}\n"

    def _read(self, line: str, before: str) -> E:
        """Read a line; one that is not as it was written, or does not follow the line before, is damaged."""
        try:
            raw = load_json(line)
            if isinstance(raw.get("version"), int) and raw["version"] > self.version:
                raise CorruptRecordError(f"written by a newer version (format {raw['version']})")
            entry = decode(raw, self.kind)
            known = _hash(entry)
            # A time that is no date would raise where it is shown, far from the file that has it.
            datetime.fromtimestamp(entry.time, timezone.utc)
        except NOT_AS_WRITTEN as error:
            raise CorruptRecordError(f"it is no {self.noun}") from error
        if entry.hash != known:
            raise CorruptRecordError("it is not as it was written")
        if entry.before != before:
            raise CorruptRecordError("the line before it is not the one that it was added to")
        return entry


def _hash(entry: Entry) -> str:
    # Sorted and in ASCII: the hash is of what an entry says, not of how its line is written.
    text = json.dumps(asdict(replace(entry, hash="")), ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
