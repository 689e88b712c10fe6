"""A study: the cells that were asked for, as declared in `study.json`, and what the disk says of each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from instruct_ablate.cell.state.former import UNKNOWN_ORDER, is_of_unknown_order
from instruct_ablate.cell.state.record.old_record import data_names, with_data_name
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.setting.keys import ORDER
from instruct_ablate.cell.state.setting.setting import Setting, completed
from instruct_ablate.cell.state.store import DECLARATION, RECORD, Records, read_record, record_fault
from instruct_ablate.cell.state.stored_config import CONFIG, IDENTITY
from instruct_ablate.errors import UserError, closed
from instruct_ablate.grid.declaration import Declaration, DeclaredCell, read_declaration
from instruct_ablate.grid.history.looks import LOOKS, Looks, read_looks
from instruct_ablate.grid.history.stated import STATED, Stated, read_stated

PORTION = 50  # cells that one thread reads in a row: handing over each would cost more than most take


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


def check_study(folder: Path) -> None:
    """Refuse a study's folder that is not there, naming the nearest one beside it."""
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.glob("*/")] if folder.parent.is_dir() else []
        raise UserError(
            f"no study at {folder}{closed(folder.name, beside)} Give the folder of a study, such as multirun/NAME."
        )


def read_study(folder: Path, records: Records | None = None) -> Study:
    """Read a study from disk, at any moment; cells asked for and not there are `missing`.

    `records` are those that the command has read before.
    """
    once = records or Records()
    check_study(folder)
    try:
        # For its error alone: glob passes over what may not be read, and the study would look empty.
        next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error
    declaration = read_declaration(folder)
    there = sorted(path.parent.name for path in folder.glob(f"*/{RECORD}"))
    _refuse_several(folder, declaration, there)
    # A cell is known by the hash at the end of its folder's name, whatever stands before it.
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
