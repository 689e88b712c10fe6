"""What a study stated and when: hypotheses, reference, metrics and margins, before its first cell or after so many.

`stated.jsonl` holds a line a version; a change is a further line, and no line is ever written over. Each carries a hash
of itself and of the line before, so that a version can be named elsewhere and an edit shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from instruct_ablate.cell.state.record_file import CorruptRecordError, decode
from instruct_ablate.cell.state.store import RECORD, now
from instruct_ablate.errors import UserError
from instruct_ablate.hypotheses import Clause, parse_hypothesis
from instruct_ablate.whole_files import NOT_AS_WRITTEN, put_aside, read_plain, write_whole

STATED = "stated.jsonl"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """One version of what is claimed, with the cells that had begun by then."""

    hypotheses: tuple[str, ...]
    clauses: tuple[Clause, ...]  # metrics and margins as they were read
    reference: str
    metrics: tuple[str, ...]
    cells: int = 0
    time: float = 0.0  # seconds since the epoch
    before: str = ""  # hash of the line before
    hash: str = ""
    version: int = VERSION

    @property
    def claims(self) -> tuple[object, ...]:
        """All that makes a version another one."""
        return self.hypotheses, self.clauses, self.reference, self.metrics


@dataclass(frozen=True, slots=True)
class Stated:
    """A study's versions in order, and what of the file cannot be read."""

    versions: tuple[Statement, ...] = ()
    faults: tuple[str, ...] = ()


def state(folder: Path, hypotheses: Sequence[str], reference: str, metrics: Iterable[str]) -> None:
    """Add a version where it says anything new; the caller holds the study's declaration."""
    stated = read_stated(folder)
    latest = stated.versions[-1] if stated.versions else None
    clauses = tuple(clause for text in hypotheses for clause in _clauses(text))
    earlier = latest.metrics if latest else ()
    names = tuple(dict.fromkeys((*earlier, *metrics, *(clause.metric for clause in clauses))))
    new = Statement(tuple(hypotheses), clauses, reference, names)
    if latest is not None and latest.claims == new.claims:
        return
    dated = replace(new, cells=begun(folder), time=now(), before=latest.hash if latest else "")
    line = json.dumps(asdict(replace(dated, hash=_hash(dated))), ensure_ascii=False)
    write_whole(folder / STATED, f"{_text(folder)}{line}\n")


def begun(folder: Path) -> int:
    """Count the cells that have a record, whatever became of them: their scores could have been seen."""
    return sum(1 for _ in folder.glob(f"*/{RECORD}"))


def _clauses(text: str) -> tuple[Clause, ...]:
    try:
        return parse_hypothesis(text).clauses
    except UserError:  # of a metric whose code is not here: the text says it all the same
        return ()


def _hash(statement: Statement) -> str:
    text = json.dumps(asdict(replace(statement, hash="")), ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _text(folder: Path) -> str:
    """Return what is written so far; what is no text file is put aside, and read as damaged from there."""
    try:
        text = read_plain(folder / STATED).decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        put_aside(folder / STATED)
        return ""
    return text if text.endswith("\n") or not text else f"{text}\n"


def read_stated(folder: Path) -> Stated:
    """Read a study's versions; what is damaged is said and never raised."""
    faults = [
        f"{path.name}: it was damaged and put aside" for path in sorted(folder.glob(f"{STATED}.damaged-*"))
    ]
    try:
        lines = read_plain(folder / STATED).decode().splitlines()
    except FileNotFoundError:
        return Stated(faults=tuple(faults))
    except (OSError, UnicodeDecodeError) as error:
        return Stated(faults=(*faults, f"{STATED} cannot be read ({type(error).__name__})"))
    versions: list[Statement] = []
    for number, line in enumerate(lines, 1):
        try:
            versions.append(_read(line, versions[-1].hash if versions else ""))
        except CorruptRecordError as fault:
            faults.append(f"{STATED}, line {number}: {fault}")
    return Stated(tuple(versions), tuple(faults))


def _read(line: str, before: str) -> Statement:
    """Read a line; one that is not as it was written, or does not follow the line before, is damaged."""
    try:
        raw = json.loads(line)
        if isinstance(raw.get("version"), int) and raw["version"] > VERSION:
            raise CorruptRecordError(f"written by a newer version (format {raw['version']})")
        statement = decode(raw, Statement)
        known = _hash(statement)
        datetime.fromtimestamp(statement.time, timezone.utc)
    except NOT_AS_WRITTEN as error:
        raise CorruptRecordError("it is no statement") from error
    if statement.hash != known:
        raise CorruptRecordError("it is not as it was written")
    if statement.before != before:
        raise CorruptRecordError("the line before it is not the one that it was added to")
    return statement


def standing(hypothesis: str, stated: Stated, cells: int, alone: bool = False) -> str:
    """Say when a hypothesis was stated under the reference that it is judged by; `cells` have begun by now.

    `alone`: it was given to this report alone.
    """
    if alone:
        return f"stated after {_counted(cells)}: given to this report alone"
    if not stated.versions:
        why = f" ({stated.faults[0]})" if stated.faults else ""
        return f"when it was stated is not recorded{why}"
    reference = stated.versions[-1].reference
    same = [one for one in stated.versions if hypothesis in one.hypotheses and one.reference == reference]
    if not same:
        return f"when it was stated is not recorded (no readable line of {STATED} has it)"
    when = _when(same[0])
    unread = "; part of the file cannot be read" if stated.faults else ""
    return f"{when}{unread}"


def _when(statement: Statement) -> str:
    after = f"after {_counted(statement.cells)}" if statement.cells else "before the first cell"
    return f"stated {after} ({_date(statement)}, {statement.hash[:8]})"


def history(stated: Stated) -> Iterator[str]:
    """Yield a line a version, oldest first: when it was, and what it says or changes."""
    earlier: Statement | None = None
    for number, one in enumerate(stated.versions, 1):
        if earlier is None:
            claims = "; ".join(map(repr, one.hypotheses)) or "no hypothesis"
            said = f"reference {one.reference}; {claims}"
            yield f"version {number}: {_when(one)}: {said}"
        else:
            after = f"changed after {_counted(one.cells)}" if one.cells else "changed before the first cell"
            yield f"version {number}: {after} ({_date(one)}, {one.hash[:8]}): {'; '.join(_changes(earlier, one))}"
        earlier = one
    yield from (f"unreadable: {fault}" for fault in stated.faults)


def _changes(earlier: Statement, one: Statement) -> Iterator[str]:
    if earlier.reference != one.reference:
        yield f"reference {earlier.reference} -> {one.reference}"
    yield from (f"added {text!r}" for text in one.hypotheses if text not in earlier.hypotheses)
    yield from (f"left out {text!r}" for text in earlier.hypotheses if text not in one.hypotheses)
    if added := [name for name in one.metrics if name not in earlier.metrics]:
        yield f"metrics added: {', '.join(added)}"
    if earlier.clauses != one.clauses and earlier.hypotheses == one.hypotheses:
        yield "the same words read otherwise"


def _counted(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _date(statement: Statement) -> str:
    return datetime.fromtimestamp(statement.time, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
