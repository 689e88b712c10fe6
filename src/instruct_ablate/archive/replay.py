"""Replay: the tables of an archived study made again from its predictions, and held against the archived ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from instruct_ablate.archive.compared import likeness
from instruct_ablate.archive.manifest import REPORT, STUDY
from instruct_ablate.archive.unpack import LIMIT, unpack
from instruct_ablate.cell.after.rescore import Rescored, check_cell
from instruct_ablate.cell.state.record.record import SCORING
from instruct_ablate.cell.state.store import RECORD
from instruct_ablate.disk.file_hash import sha256_of
from instruct_ablate.disk.whole_files import remove
from instruct_ablate.grid.study import read_study
from instruct_ablate.metrics import BUILT_IN_ALONE, Selection
from instruct_ablate.report.report import write_report

TABLES = (".md", ".csv", ".tex", ".txt", ".json", ".parquet")  # figures and page hang on their libraries too


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replay."""

    study: Path
    report: Path
    tables: int  # that are the same, byte for byte
    other_tables: tuple[str, ...]  # that are not, or are on one side alone
    other_figures: tuple[str, ...]
    scored: int  # cells whose scores follow from their predictions
    unequal: tuple[str, ...]  # cells whose scores do not
    unscored: tuple[str, ...]  # cells that could not be scored again, with why
    edited: tuple[
        str, ...
    ] = ()  # predictions that are not those of their record's scores, whatever they score
    reworded: tuple[str, ...] = ()  # tables that say the same in other words, as an earlier version's do
    misplaced: tuple[str, ...] = ()  # cells whose record has another setting than the one that was hashed
    placed: int = 0  # cells whose setting is the one that was hashed
    around: tuple[str, ...] = ()  # of the other tables: those whose rows are the same
    cells: int = 0  # that were asked for or have a record
    unheld: tuple[str, ...] = ()  # cells of `unscored` whose numbers may stand in tables
    unhashed: tuple[str, ...] = ()  # cells of predictions made elsewhere, whose setting nothing was hashed of
    unknown: tuple[
        tuple[str, int], ...
    ] = ()  # metrics without code here, and of how many cells values stayed

    @property
    def same(self) -> bool:
        """Whether tables say what the archived ones do, scores are those of the predictions and settings the hashed.

        What could not be held against them is not the same either: leaving a file out must not pass a check.
        """
        unheld = self.unheld or self.unknown
        return not (self.other_tables or self.unequal or self.edited or self.misplaced or unheld)


def replay(
    archive: Path,
    target: Path,
    metrics: Selection = BUILT_IN_ALONE,
    trust: bool = False,
    limit: int = LIMIT,
) -> Replayed:
    """Unpack an archive, score its predictions again, write its report again and compare; no code in it is run."""
    metrics.load()  # a mistake in the user's own code is said before anything is unpacked
    manifest = unpack(archive, target, limit)
    study, report = target / STUDY / manifest.study, target / REPORT
    archived = {
        entry.name.partition("/")[2]: entry.sha256
        for entry in manifest.files
        if entry.name.startswith(f"{REPORT}/")
    }
    checked = [check_cell(path.parent, metrics, trust) for path in sorted(study.glob(f"*/{RECORD}"))]
    checked += _without_record(study)
    before = {name: (report / name).read_bytes() for name in archived if _is_table(name)}
    # An archived file that is not made again must not pass for one that was.
    remove(report)
    write_report(study, report)
    other = _unequal(report, archived)
    alike = {
        name: likeness(name, before[name], (report / name).read_bytes())
        for name in other
        if name in before and (report / name).is_file()
    }
    reworded, around = (
        tuple(name for name in other if alike.get(name) == way) for way in ("in words", "around rows")
    )
    return Replayed(
        study,
        report,
        sum(name not in other for name in before),
        tuple(name for name in other if _is_table(name) and name not in reworded),
        tuple(name for name in other if not _is_table(name)),
        sum(not one.left and not one.changed for one in checked),
        tuple(f"{one.name}{_rules(one)}" for one in checked if one.changed),
        tuple(f"{one.name}: {one.left}" for one in checked if one.left),
        tuple(f"{one.name}: {name}" for one in checked for name in one.edited),
        reworded,
        tuple(f"{one.name}: {one.misplaced}" for one in checked if one.misplaced),
        sum(one.misplaced == "" for one in checked),
        around,
        len(checked),
        tuple(one.name for one in checked if one.unheld),
        tuple(one.name for one in checked if one.misplaced is None and not one.left),
        tuple(sorted(Counter(metric for one in checked for metric in one.stayed).items())),
    )


def _without_record(study: Path) -> list[Rescored]:
    """Return the cells that were asked for, or of which files lie there, and that have no record.

    Predictions are packed of those that a record names: where they lie without one, it was taken out.
    """
    lying = {path.parent.relative_to(study).parts[0] for path in study.glob("*/**/*") if path.is_file()}
    names = sorted({cell.name for cell in read_study(study).cells} | lying)
    return [
        Rescored(name, left=f"has no {RECORD}", unheld=any((study / name).glob("predictions/*")))
        for name in names
        if not (study / name / RECORD).exists()
    ]


def _rules(one: Rescored) -> str:
    """Say which rules a cell was scored by, where these are not today's: its numbers need not be wrong."""
    if not one.rules:
        return ""
    return f" (they were made by version {one.rules} of the scoring rules, and are held against version {SCORING})"


def _is_table(name: str) -> bool:
    return "/" not in name and name.endswith(TABLES)


def _unequal(report: Path, archived: dict[str, str]) -> list[str]:
    """Name the files that differ between the archived report and the one made now."""
    made = {
        path.relative_to(report).as_posix(): sha256_of(path) for path in report.rglob("*") if path.is_file()
    }
    return sorted(name for name in {*archived, *made} if archived.get(name) != made.get(name))
