"""What a study declares in `study.json`: the cells that were asked for, and what they are known by."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import AcquireReturnProxy, BaseFileLock, Timeout

from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.old_record import modern_declaration
from instruct_ablate.cell.state.record.record import RECORD_VERSION
from instruct_ablate.cell.state.record.record_file import (
    CorruptRecordError,
    OtherFormatError,
    decode,
    loaded,
    sealed,
    to_json,
)
from instruct_ablate.cell.state.setting.setting import Setting
from instruct_ablate.cell.state.store import DECLARATION, read_record
from instruct_ablate.disk.whole_files import (
    NOT_AS_WRITTEN,
    explained,
    is_folder_name,
    make_folder,
    read_plain,
    shared_lock,
    write_whole,
)
from instruct_ablate.errors import UserError, unknown
from instruct_ablate.grid.history.looks import check_frozen
from instruct_ablate.grid.history.stated import state
from instruct_ablate.process.processes import command_line
from instruct_ablate.schema import Config

WAIT = 60.0  # seconds for another command that changes it


@dataclass(frozen=True, slots=True)
class DeclaredCell:
    """A cell that some command asked for."""

    identity: str
    name: str
    setting: Setting
    seed: int
    data_hash: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What was asked for so far, over all commands of a study."""

    name: str
    cells: tuple[DeclaredCell, ...] = ()
    commands: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    reference: str = "original"
    columns: tuple[str, ...] = ()
    version: int = RECORD_VERSION


def declare(folder: Path, identities: Sequence[Identity], config: Config) -> None:
    """Add cells to a study's declaration; what earlier commands asked for stays.

    But for a cell that never began and is asked for now with a list in another order: it would be missing for ever.
    """
    with changing(folder):
        _declare(folder, identities, config)


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold a study's declaration while it is changed; one of a newer version is left alone."""
    with explained(folder):
        make_folder(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable", str(folder))
        # A file of its own: study.json is replaced at every change, and a lock on it would be on one that is gone.
        with _held(shared_lock(folder / f".{DECLARATION}.lock")):
            yield


def _held(lock: BaseFileLock) -> AcquireReturnProxy[BaseFileLock]:
    try:
        return lock.acquire(timeout=WAIT)
    except Timeout:
        raise UserError(
            f"another process has held {lock.lock_file} for {WAIT:.0f} s; once it has ended, run the command again"
        ) from None


def _declare(folder: Path, identities: Sequence[Identity], config: Config) -> None:
    check_frozen(folder, [one.hash for one in identities], config.hypotheses, config.reference)
    before = read_declaration(folder)
    now = {(one.setting, one.seed, one.data_hash): one.hash for one in identities}
    cells = {cell.identity: cell for cell in before.cells if not _stands_elsewise(folder, cell, now)}
    for one in identities:
        cells[one.hash] = DeclaredCell(one.hash, one.name, one.setting, one.seed, one.data_hash)
    commands = dict.fromkeys((*before.commands, command_line()))
    hypotheses = dict.fromkeys((*before.hypotheses, *config.hypotheses))
    after = replace(
        before,
        cells=tuple(cells.values()),
        commands=tuple(commands),
        hypotheses=tuple(hypotheses),
        reference=config.reference,
        columns=tuple(config.report.columns),
    )
    state(folder, after.hypotheses, after.reference, config.evaluation.metrics)
    if after != before:
        write_declaration(folder, after)


def _stands_elsewise(folder: Path, cell: DeclaredCell, now: Mapping[tuple[Setting, int, str], str]) -> bool:
    other = now.get((cell.setting, cell.seed, cell.data_hash), cell.identity) != cell.identity
    return other and not (folder / cell.name).exists()


def write_declaration(folder: Path, declaration: Declaration) -> None:
    """Write what was asked for, in today's version."""
    write_whole(folder / DECLARATION, sealed(to_json(replace(declaration, version=RECORD_VERSION))))


def read_declaration(folder: Path) -> Declaration:
    """Read what was asked for; an unreadable declaration counts as empty (the records are the truth).

    One that a newer version has written is refused, so that it is neither misread nor written over.
    """
    try:
        raw = loaded(read_plain(folder / DECLARATION).decode())
        declaration = decode(modern_declaration(raw, folder), Declaration)
        # A name is joined to the study's folder: one with a path in it (../..) would lead out.
        named = tuple(cell for cell in declaration.cells if is_folder_name(cell.name))
        return replace(declaration, cells=named)
    except OtherFormatError as other:
        raise UserError(f"{folder / DECLARATION}: {other}. Use that version for this study.") from other
    except (OSError, CorruptRecordError, *NOT_AS_WRITTEN):
        return Declaration(folder.resolve().name)


def forget(folder: Path, name: str) -> None:
    """Drop a cell that was removed from what a study asks for; one that still lies there is refused."""
    with changing(folder):
        declaration = read_declaration(folder)
        names = [cell.name for cell in declaration.cells]
        if name not in names:
            raise unknown(f"cell of {folder}:", name, names)
        if read_record(folder / name) is not None:
            raise UserError(
                f"{folder / name} is still there: remove that folder first, then forget the cell."
            )
        left = tuple(cell for cell in declaration.cells if cell.name != name)
        write_declaration(folder, replace(declaration, cells=left))
