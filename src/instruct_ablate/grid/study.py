"""A study: the cells that were asked for, as declared in `study.json`, and what the disk says of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import AcquireReturnProxy, BaseFileLock, Timeout

from instruct_ablate.cell.state.former import UNKNOWN_ORDER, is_of_unknown_order
from instruct_ablate.cell.state.identity import Identity
from instruct_ablate.cell.state.record.old_record import data_names, modern_declaration, with_data_name
from instruct_ablate.cell.state.record.record import RECORD_VERSION, CellRecord
from instruct_ablate.cell.state.record.record_file import (
    CorruptRecordError,
    OtherFormatError,
    decode,
    loaded,
    sealed,
    to_json,
)
from instruct_ablate.cell.state.setting.setting import ORDER, Setting, completed
from instruct_ablate.cell.state.store import DECLARATION, RECORD, Records, read_record, record_fault
from instruct_ablate.cell.state.stored_config import CONFIG, IDENTITY
from instruct_ablate.disk.whole_files import (
    NOT_AS_WRITTEN,
    explained,
    make_folder,
    read_plain,
    shared_lock,
    write_whole,
)
from instruct_ablate.errors import UserError, closed, unknown
from instruct_ablate.grid.history.looks import LOOKS, Looks, check_frozen, read_looks
from instruct_ablate.grid.history.stated import STATED, Stated, read_stated, state
from instruct_ablate.process.processes import command_line
from instruct_ablate.schema import Config

PORTION = 50  # cells that one thread reads in a row: handing over each would cost more than most take
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


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it stands now: every cell asked for or found, missing ones too."""

    name: str
    folder: Path
    cells: tuple[CellRecord, ...]
    hypotheses: tuple[str, ...] = ()
    reference: str = "original"
    commands: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()  # of the main table; empty: the usual ones
    stated: Stated = field(default_factory=Stated)  # what was claimed when
    looks: Looks = field(default_factory=Looks)  # of a study that stops when it is decided


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
        named = tuple(cell for cell in declaration.cells if Path(cell.name).name == cell.name)
        return replace(declaration, cells=named)
    except OtherFormatError as other:
        raise UserError(f"{folder / DECLARATION}: {other}. Use that version for this study.") from other
    except (OSError, CorruptRecordError, *NOT_AS_WRITTEN):
        return Declaration(folder.resolve().name)


def read_study(folder: Path, records: Records | None = None) -> Study:
    """Read a study from disk, at any moment; cells asked for and not there are `missing`.

    `records` are those that the command has read before.
    """
    once = records or Records()
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.glob("*/")] if folder.parent.is_dir() else []
        raise UserError(
            f"no study at {folder}{closed(folder.name, beside)} Give the folder of a study, such as multirun/NAME."
        )
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error
    declaration = read_declaration(folder)
    there = sorted(path.parent.name for path in folder.glob(f"*/{RECORD}"))
    _refuse_several(folder, declaration, there)
    by_hash = {name[-8:]: name for name in there}
    declared = {by_hash.get(cell.identity[:8], cell.name): cell for cell in declaration.cells}
    names = list(dict.fromkeys([*declared, *there]))
    portions = [names[start : start + PORTION] for start in range(0, len(names), PORTION)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        read = pool.map(
            lambda own: [_read(folder / name, declared.get(name), once) for name in own], portions
        )
        found = tuple(record for cells in read for record in cells if record is not None)
    return Study(
        folder.resolve().name,
        folder,
        _with_settings(found),
        declaration.hypotheses,
        declaration.reference,
        declaration.commands,
        declaration.columns,
        read_stated(folder),
        read_looks(folder),
    )


def _refuse_several(folder: Path, declaration: Declaration, there: Sequence[str]) -> None:
    """Refuse a folder of studies, naming them, and one that is none; an empty one is a study that has not begun."""
    if there or declaration.cells:
        return
    within = {path.parents[1].name for path in folder.glob(f"*/*/{RECORD}")}
    within |= {
        str(path.parent.relative_to(folder))
        for deep in ("*", "*/*")
        for path in folder.glob(f"{deep}/{DECLARATION}")
    }
    if within:
        names = ", ".join(sorted(within))
        raise UserError(
            f"{folder} is no study, but holds some: {names}. Give one of them, such as {folder / min(within)}."
        )
    marks = (DECLARATION, STATED, LOOKS, f"*/{IDENTITY}", f"*/{CONFIG}")
    if (other := _first_seen(folder)) and not any(next(folder.glob(mark), None) for mark in marks):
        raise UserError(
            f"{folder} is no study: there is no {DECLARATION} and no cell in it, but {other!r} and the like. "
            "Give the folder of a study, such as multirun/NAME."
        )


def _first_seen(folder: Path) -> str:
    """Return a name in a folder, the first one; hidden ones (locks, code of queued jobs) do not count."""
    return min((path.name for path in folder.iterdir() if not path.name.startswith(".")), default="")


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


def _read(folder: Path, declared: DeclaredCell | None, records: Records) -> CellRecord | None:
    """Read one cell; None for a folder with an unreadable record that nobody asked for."""
    record = read_record(folder, declared.identity if declared else None, records)
    if record is not None and record.state != "other format":
        setting, notes = _in_order(record.setting, declared), _with_order(record, folder)
        as_it_stands = (record.name, record.setting, record.notes) == (folder.name, setting, notes)
        return record if as_it_stands else replace(record, name=folder.name, setting=setting, notes=notes)
    fault = record_fault(folder, records) if record is None else None
    if declared is None:
        return _unreadable(folder, fault) if fault else record
    missing = CellRecord(
        declared.identity,
        folder.name,
        declared.setting,
        declared.seed,
        "missing",
        data_hash=declared.data_hash,
    )
    if fault:
        return replace(missing, state="unreadable", notes=(fault,))
    return missing if record is None else replace(missing, state=record.state, notes=record.notes)


def _with_order(record: CellRecord, folder: Path) -> tuple[str, ...]:
    """Return a cell's notes, and that nobody noted the order of its training tasks, where that is so."""
    setting = record.setting
    trained_here = record.state == "done" and not (
        setting.untuned or setting.imported or ORDER in setting.keys
    )
    if not trained_here or UNKNOWN_ORDER in record.notes or not is_of_unknown_order(folder):
        return record.notes
    return (*record.notes, UNKNOWN_ORDER)


def _in_order(setting: Setting, declared: DeclaredCell | None) -> Setting:
    """Return a cell's setting with the order of tasks that it was taken for, where whoever trained it noted none."""
    if declared is None or ORDER not in declared.setting.keys or ORDER in setting.keys:
        return setting
    ordered = setting.changed(**{ORDER: declared.setting.get(ORDER)})
    return ordered if ordered == declared.setting else setting


def _unreadable(folder: Path, fault: str) -> CellRecord:
    return CellRecord("", folder.name, Setting(), 0, "unreadable", notes=(fault,))


def _with_settings(records: Sequence[CellRecord]) -> tuple[CellRecord, ...]:
    """Fill in what old records and declarations do not say, where the study's other cells leave but one way to."""
    names = data_names(record.setting for record in records)
    named = {record.setting: with_data_name(record.setting, names) for record in records}
    whole = {setting: None for setting in named.values() if "evaluation.instructions" in setting}
    filled = {
        before: setting if setting in whole else completed(setting, whole)
        for before, setting in named.items()
    }
    return tuple(
        record
        if filled[record.setting] == record.setting
        else replace(record, setting=filled[record.setting])
        for record in records
    )
