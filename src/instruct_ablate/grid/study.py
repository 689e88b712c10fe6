"""A study: the cells that were asked for, as declared in `study.json`, and what the disk says of each."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record import Axes, CellRecord
from instruct_ablate.cell.state.record_file import CorruptRecordError, from_json, to_json
from instruct_ablate.cell.state.store import RECORD, read_record
from instruct_ablate.errors import UserError, nearest
from instruct_ablate.schema import Config
from instruct_ablate.whole_files import explained, write_whole

DECLARATION = "study.json"


@dataclass(frozen=True, slots=True)
class DeclaredCell:
    """A cell that some command asked for."""

    identity: str
    name: str
    axes: Axes
    data_hash: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What was asked for so far, over all commands of a study."""

    name: str
    cells: tuple[DeclaredCell, ...] = ()
    commands: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    reference: str = "original"


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it stands now: every cell asked for or found, missing ones too."""

    name: str
    folder: Path
    cells: tuple[CellRecord, ...]
    hypotheses: tuple[str, ...] = ()
    reference: str = "original"
    commands: tuple[str, ...] = ()


def declare(folder: Path, identities: Sequence[Identity], config: Config) -> None:
    """Add cells to a study's declaration; what earlier commands asked for stays."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable", str(folder))
        with FileLock(folder / f".{DECLARATION}.lock", timeout=60):
            _declare(folder, identities, config)


def _declare(folder: Path, identities: Sequence[Identity], config: Config) -> None:
    before = read_declaration(folder)
    cells = {cell.identity: cell for cell in before.cells}
    for identity in identities:
        cells[identity.hash] = DeclaredCell(identity.hash, identity.name, identity.axes, identity.data_hash)
    commands = dict.fromkeys((*before.commands, shlex.join(sys.argv)))
    hypotheses = dict.fromkeys((*before.hypotheses, *config.hypotheses))
    after = replace(
        before,
        cells=tuple(cells.values()),
        commands=tuple(commands),
        hypotheses=tuple(hypotheses),
        reference=config.reference,
    )
    if after != before:
        write_whole(folder / DECLARATION, to_json(after))


def read_declaration(folder: Path) -> Declaration:
    """Read what was asked for; an unreadable declaration counts as empty (the records are the truth)."""
    try:
        return from_json((folder / DECLARATION).read_text(encoding="utf-8"), Declaration)
    except (OSError, UnicodeDecodeError, CorruptRecordError):
        return Declaration(folder.resolve().name)


def read_study(folder: Path) -> Study:
    """Read a study from disk, at any moment; cells asked for and not there are `missing`."""
    if not folder.is_dir():
        near = (
            nearest(folder.name, [path.name for path in folder.parent.glob("*/")])
            if folder.parent.is_dir()
            else ""
        )
        raise UserError(f"no study at {folder}{near} Give the folder of a study, such as multirun/NAME.")
    declaration = read_declaration(folder)
    declared = {cell.name: cell for cell in declaration.cells}
    found = [path.parent.name for path in folder.glob(f"*/{RECORD}") if path.parent.name not in declared]
    with ThreadPoolExecutor(max_workers=4) as pool:
        cells = pool.map(lambda name: _read(folder / name, declared.get(name)), [*declared, *sorted(found)])
        records = tuple(record for record in cells if record is not None)
    return Study(
        declaration.name, folder, records, declaration.hypotheses, declaration.reference, declaration.commands
    )


def _read(folder: Path, declared: DeclaredCell | None) -> CellRecord | None:
    """Read one cell; None for a folder with an unreadable record that nobody asked for."""
    record = read_record(folder, declared.identity if declared else None)
    if record is None and declared is not None:
        return CellRecord(
            declared.identity, declared.name, declared.axes, "missing", data_hash=declared.data_hash
        )
    return record
