"""What a study stated and when: hypotheses, reference, metrics and margins, before its first cell or after so many.

`stated.jsonl` holds a line a version; a change is a further line, and no line is ever written over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from instruct_ablate.cell.state.store import RECORD
from instruct_ablate.errors import UserError
from instruct_ablate.grid.history.chain import Chain, Entry
from instruct_ablate.hypotheses import Clause, parse_hypothesis
from instruct_ablate.plural import counted

STATED = "stated.jsonl"


@dataclass(frozen=True, slots=True)
class Statement(Entry):
    """One version of what is claimed, with the cells that had begun by then."""

    hypotheses: tuple[str, ...]
    clauses: tuple[Clause, ...]  # metrics and margins as they were read
    reference: str
    metrics: tuple[str, ...]
    cells: int = 0

    @property
    def claims(self) -> tuple[object, ...]:
        """All that makes a version another one."""
        return self.hypotheses, self.clauses, self.reference, self.metrics


CHAIN = Chain(STATED, Statement, "statement")


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
    CHAIN.add(folder, replace(new, cells=begun(folder)))


def begun(folder: Path) -> int:
    """Count the cells that have a record, whatever became of them: their scores could have been seen."""
    return sum(1 for _ in folder.glob(f"*/{RECORD}"))


def _clauses(text: str) -> tuple[Clause, ...]:
    try:
        return parse_hypothesis(text).clauses
    except UserError:  # of a metric whose code is not here: the text says it all the same
        return ()


def read_stated(folder: Path) -> Stated:
    """Read a study's versions; what is damaged is said and never raised."""
    return Stated(*CHAIN.read(folder))


def standing(hypothesis: str, stated: Stated, cells: int, alone: bool = False) -> str:
    """Say when a hypothesis was stated under the reference that it is judged by; `cells` have begun by now.

    `alone`: it was given to this report alone.
    """
    if alone:
        return f"stated after {counted(cells, 'cell')}: given to this report alone"
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
    after = f"after {counted(statement.cells, 'cell')}" if statement.cells else "before the first cell"
    return f"stated {after} ({statement.date}, {statement.hash[:8]})"


def history(stated: Stated) -> Iterator[str]:
    """Yield a line a version, oldest first: when it was, and what it says or changes."""
    earlier: Statement | None = None
    for number, one in enumerate(stated.versions, 1):
        if earlier is None:
            claims = "; ".join(map(repr, one.hypotheses)) or "no hypothesis"
            said = f"reference {one.reference}; {claims}"
            yield f"version {number}: {_when(one)}: {said}"
        else:
            after = (
                f"changed after {counted(one.cells, 'cell')}"
                if one.cells
                else "changed before the first cell"
            )
            yield f"version {number}: {after} ({one.date}, {one.hash[:8]}): {'; '.join(_changes(earlier, one))}"
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
