"""Packing: a study's configs, records, predictions, statements and report, with the versions that made them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.archive.forms import form_of, write_members
from instruct_ablate.archive.manifest import (
    MANIFEST,
    REPORT,
    STUDY,
    Entry,
    Manifest,
    manifest_text,
    parse_manifest,
)
from instruct_ablate.cell.state.record.instance_scores import change_told
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import DECLARATION, RECORD
from instruct_ablate.cell.state.stored_config import CONFIG, IDENTITY
from instruct_ablate.disk import learning_curve, score_curve
from instruct_ablate.disk.whole_files import read_inside, whole_file
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.looks import LOOKS
from instruct_ablate.grid.history.stated import STATED
from instruct_ablate.grid.study import Study, read_study
from instruct_ablate.report.report import write_report

MADE_WITH, READ_WITH = "versions.lock", "versions.report.lock"
Part = tuple[Entry, Callable[[], bytes]]  # a file of an archive, and how to read it again


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of an archive."""

    cells: int
    files: int
    lacking: tuple[str, ...]  # what records name and the disk does not have
    changed: tuple[str, ...] = ()  # predictions that are not those of their record's scores


def pack(study_folder: Path, target: Path) -> Packed:
    """Write a study into one file; the same study gives the same bytes."""
    form = form_of(target)
    if target.exists() or target.is_symlink():
        raise UserError(f"{target} is there already: give another name, or remove it first.")
    study = read_study(study_folder)
    if running := [cell.name for cell in study.cells if cell.state == "running"]:
        raise UserError(f"{running[0]} is running: an archive is of cells that have ended.")
    lacking: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        report = write_report(study_folder, Path(temporary) / REPORT)
        parts = [*_versions(study), *_study_parts(study, lacking), *_report_parts(report.folder)]
        entries = tuple(entry for entry, _ in parts)
        manifest = Manifest(study.name, entries)
        parse_manifest(manifest_text(manifest).encode())  # what could not be unpacked is not packed
        with whole_file(target, key="FILE") as path:
            write_members(path, form, _members(manifest, parts))
    return Packed(len(study.cells), len(entries), tuple(lacking), _changed(study, entries))


def _changed(study: Study, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Say which packed predictions were changed after they were scored."""
    digests = {entry.name: entry.sha256 for entry in entries}
    told = (
        (cell.name, change_told(block, digests.get(_member(study, cell, block.predictions), block.sha256)))
        for cell in study.cells
        for block in cell.every_block
    )
    return tuple(f"{name}: {why}" for name, why in told if why)


def _member(study: Study, cell: CellRecord, name: str) -> str:
    return f"{STUDY}/{study.name}/{cell.name}/{name}"


def _entry(name: str, data: bytes) -> Entry:
    return Entry(name, len(data), hashlib.sha256(data).hexdigest())


def _members(manifest: Manifest, parts: list[Part]) -> Iterator[tuple[str, bytes]]:
    yield MANIFEST, manifest_text(manifest).encode()
    for entry, (_, read) in zip(manifest.files, parts, strict=True):
        data = read()
        # The manifest stands first and has every checksum, so files are read twice: in between one may have changed.
        if _entry(entry.name, data) != entry:
            raise UserError(
                f"{entry.name} has changed while the archive was written; run the same command again."
            )
        yield entry.name, data


def _study_parts(study: Study, lacking: list[str]) -> Iterator[Part]:
    """Yield the files of a study that its numbers rest on; what is no plain file counts as not there."""
    place = f"{STUDY}/{study.name}"
    for name in (DECLARATION, STATED, LOOKS):
        yield from _present(study.folder, name, f"{place}/{name}", None)
    # By name: the same study gives the same bytes, in whatever order its folders are listed.
    for cell in sorted(study.cells, key=lambda cell: cell.name):
        folder = study.folder / cell.name
        for name in (CONFIG, IDENTITY, RECORD, learning_curve.FILE, score_curve.FILE):
            yield from _present(folder, name, _member(study, cell, name), None)
        for name in _of_blocks(cell):
            yield from _present(folder, name, _member(study, cell, name), lacking)


def _of_blocks(cell: CellRecord) -> Iterator[str]:
    for block in cell.every_block:
        yield block.predictions
        if block.instances:
            yield block.instances


def _present(folder: Path, name: str, member: str, lacking: list[str] | None) -> Iterator[Part]:
    try:
        data = read_inside(folder, name)
    except (OSError, UserError):
        if lacking is not None:
            lacking.append(member)
        return
    yield _entry(member, data), lambda: read_inside(folder, name)


def _report_parts(folder: Path) -> Iterator[Part]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = f"{REPORT}/{path.relative_to(folder).as_posix()}"
        yield _entry(name, path.read_bytes()), path.read_bytes


def _versions(study: Study) -> Iterator[Part]:
    """Yield two lock files: what the cells ran with, and what the report was made with."""
    made = [cell.environment for cell in study.cells if cell.environment]
    pins = {f"{name}=={version}" for one in made for name, version in one.versions}
    pythons = sorted({one.python for one in made})
    head = f"# The cells ran with Python {', '.join(pythons) or '(not recorded)'}; two lines: cells differ.\n"
    cells = head + "".join(f"{pin}\n" for pin in sorted(pins))
    installed = {
        (known["Name"] or "").lower(): known["Version"]
        for known in (one.metadata for one in importlib.metadata.distributions())
    }
    head = f"# The report was made with Python {platform.python_version()}.\n"
    here = head + "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()) if name)
    yield _entry(MADE_WITH, cells.encode()), cells.encode
    yield _entry(READ_WITH, here.encode()), here.encode
