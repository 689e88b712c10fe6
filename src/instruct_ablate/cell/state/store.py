"""A cell's folder on disk, and its state: missing, running, interrupted, failed or done.

Done means a final record with scores and the same identity, renamed into place; nothing else proves anything.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.heartbeat import Owner, seems_dead
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.lock import holder
from instruct_ablate.cell.state.record.record import RECORD_VERSION, CellRecord, State
from instruct_ablate.cell.state.record.record_file import (
    CorruptRecordError,
    OtherFormatError,
    parse_record,
    sealed,
    to_json,
)
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.disk.fence import inside_fence
from instruct_ablate.disk.json_objects import load_json
from instruct_ablate.disk.whole_files import (
    NOT_AS_WRITTEN,
    explained,
    is_folder_name,
    is_inside,
    read_plain,
    write_whole,
)
from instruct_ablate.errors import in_a_line

RECORD, DECLARATION = "record.json", "study.json"
TRAINED = "checkpoints/trained.ckpt"  # the weights of a cell that keeps them


def find_folder(study: Path, identity: Identity, listed: Mapping[str, Sequence[str]] | None = None) -> Path:
    """Return a cell's folder: the one that ends in its hash, by whatever readable name, or the one it is to have.

    `listed` are the study's folders by the hash at their end, where whoever asks for many cells has looked once.
    """
    own, short = study / identity.name, identity.hash[:8]
    if listed is not None and short not in listed:
        return own
    if own.exists():
        return own
    others = sorted(study.glob(f"*-{short}")) if listed is None else [study / name for name in listed[short]]
    there = next((path for path in others if path.is_dir() and holds(path, identity.hash)), None)
    return there or study / (_declared_name(study, identity.hash) or identity.name)


def declared_cells(study: Path) -> Any:
    """Return the cells that a study's sweeps have declared, as its file has them; OSError or NOT_AS_WRITTEN if not."""
    return load_json(read_plain(study / DECLARATION))["cells"]


def _declared_name(study: Path, identity: str) -> str | None:
    """Return the name that a sweep has declared for a cell, where it is one: in the study, and with its hash."""
    try:
        cells = declared_cells(study)
        name = next(str(cell["name"]) for cell in cells if cell["identity"] == identity)
    except (OSError, StopIteration, *NOT_AS_WRITTEN):
        return None
    return name if name.endswith(f"-{identity[:8]}") and is_folder_name(name) else None


def holds(folder: Path, identity: str) -> bool:
    """Whether a folder is a cell's: by its record or by what was hashed; one with neither is as its name says."""
    for name in (RECORD, "identity.json"):
        try:
            return bool(load_json(read_plain(folder / name))["identity"] == identity)
        except (OSError, *NOT_AS_WRITTEN):
            continue
    return True


def write_record(folder: Path, record: CellRecord) -> None:
    """Write a record whole, durably, in today's version."""
    write_whole(folder / RECORD, sealed(to_json(dataclasses.replace(record, version=RECORD_VERSION))))


def read_record(
    folder: Path, identity: str | None = None, records: Records | None = None
) -> CellRecord | None:
    """Read a cell's record as it stands; None where there is none, or a corrupt or another cell's one.

    A cell that says it is running while its process is gone counts as interrupted. What a newer version has
    written is of the state "other format", whoever it belongs to. `records` are those read before.
    """
    try:
        record = _parsed(folder) if records is None else records.parsed(folder)
    except OtherFormatError as other:
        return _of_other_format(folder, other)
    except (OSError, CorruptRecordError):
        return None
    if identity is not None and record.identity != identity:
        return None
    if record.state == "running" and _abandoned(folder):
        return dataclasses.replace(record, state="interrupted")
    return record


def forbidden(folder: Path) -> str | None:
    """Say that a cell's record may not be read by this user: what became of the cell is not known."""
    try:
        read_plain(folder / RECORD)
    except PermissionError as error:
        return f"{RECORD} cannot be read: {error.strerror}"
    except OSError:
        pass
    return None


def record_fault(folder: Path, records: Records | None = None) -> str | None:
    """Say why the record that is there cannot be read; None where it can, or there is none."""
    try:
        _parsed(folder) if records is None else records.parsed(folder)
    except (FileNotFoundError, NotADirectoryError, OtherFormatError):
        return None
    except (OSError, CorruptRecordError) as error:
        why = isinstance(error, OSError) and error.strerror
        return f"{RECORD} cannot be read: {why or in_a_line(error, 200)}"
    return None


class Records:
    """The records of one moment: each is read once, however often a command asks for it.

    It lives no longer than that: the next time a cell may have gone on.
    """

    def __init__(self) -> None:
        self._read: dict[Path, CellRecord | Exception] = {}

    def parsed(self, folder: Path) -> CellRecord:
        """Return a record as it was written, or raise what reading it raised."""
        if folder not in self._read:
            self._read[folder] = _outcome(folder)
        if isinstance(found := self._read[folder], Exception):
            raise found
        return found

    def state(self, folder: Path, identity: str) -> State:
        """Return a cell's state."""
        record = read_record(folder, identity, self)
        return record.state if record else "missing"

    def holds(self, folder: Path, identity: str) -> bool:
        """Whether a folder is a cell's."""
        try:
            return self.parsed(folder).identity == identity
        except (OSError, OtherFormatError, CorruptRecordError):
            return holds(folder, identity)


def _outcome(folder: Path) -> CellRecord | Exception:
    try:
        return _parsed(folder)
    except (OSError, OtherFormatError, CorruptRecordError) as error:
        return error


def _parsed(folder: Path) -> CellRecord:
    """Read a record as it was written."""
    try:
        text = read_plain(folder / RECORD).decode()
    except UnicodeDecodeError as error:
        raise CorruptRecordError("it is no text") from error
    record = parse_record(text, folder)
    if not _plausible(record):
        raise CorruptRecordError("its parts do not fit together")
    return record


def _of_other_format(folder: Path, other: OtherFormatError) -> CellRecord:
    identity = str(other.raw.get("identity", ""))
    return CellRecord(identity, folder.name, Setting(), 0, "other format", notes=(f"{RECORD}: {other}",))


def quarantine(folder: Path, identity: str) -> Path | None:
    """Put a record aside that cannot be read or belongs to another cell; return where it went."""
    path = folder / RECORD
    if not os.path.lexists(path) or read_record(folder, identity) is not None:
        return None
    for number in itertools.count(1):
        aside = folder / f"record.corrupt-{number}.json"
        if not aside.exists():
            with explained(aside), inside_fence(folder):
                path.rename(aside)
            return aside
    return None


def missing_record(identity: Identity) -> CellRecord:
    """Return the record of a cell that nobody has run yet."""
    return CellRecord(
        identity.hash, identity.name, identity.setting, identity.seed, "missing", data_hash=identity.data_hash
    )


def running_by(folder: Path) -> Owner | None:
    """Say which living process runs the cell, if any."""
    owner = holder(folder)
    return owner if owner and not seems_dead(folder, owner) else None


def now() -> float:
    """Return the time that records carry."""
    return time.time()


def _abandoned(folder: Path) -> bool:
    owner = holder(folder)
    return owner is None or seems_dead(folder, owner)


def _plausible(record: CellRecord) -> bool:
    """A done cell has scores, a failed one a reason; the files of either lie in its folder."""
    names = (record.name, *(block.predictions for block in record.every_block))
    if "/" in record.name or not all(map(is_inside, names)):
        return False
    if record.state == "done":
        return bool(record.blocks) and all(block.scores.overall.instances > 0 for block in record.every_block)
    return record.state != "failed" or record.failure is not None
