"""A cell's predictions for people: prompt, answer and references, one after the other, or where two cells differ."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruct_ablate.cell.state.record.instance_scores import scored_rows
from instruct_ablate.cell.state.record.predictions import PredictionRow
from instruct_ablate.cell.state.record.record import CellRecord
from instruct_ablate.cell.state.store import DECLARATION, RECORD, read_record, record_fault
from instruct_ablate.errors import UserError, closed, unknown
from instruct_ablate.metrics.built_in import exact_match
from instruct_ablate.metrics.constraints import PROMPT_STRICT

RULE = 72 * "-"
EMPTY = "(nothing)"  # as the page has it
CUT = ", ended at its greatest length"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are looked at; empty texts leave the choice open."""

    task: str = ""
    tested: str = ""  # label of a test instruction
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a cell, and that of another cell where two are held against each other."""

    tested: str
    row: PredictionRow
    other: PredictionRow | None = None


def read_cell(folder: Path) -> CellRecord:
    """Read the record of the cell at `folder`; one that cannot be read, or that is none, is refused."""
    record = read_record(folder)
    if record is None:
        raise UserError(f"{folder}: {record_fault(folder) or _no_cell(folder)}")
    return record


def _no_cell(folder: Path) -> str:
    """Say what is wrong with a folder that no cell is at: the name of one beside it, perhaps, or the study's own."""
    usual = "a cell is a folder such as multirun/STUDY/CELL, with a record.json in it"
    if os.path.lexists(folder / DECLARATION):
        return f"{usual}; this is a study, whose cells `instruct-ablate status {folder}` lists."
    beside = [path.parent.name for path in folder.parent.glob(f"*/{RECORD}")]
    return f"{usual}{closed(folder.name, beside)}"


def select_rows(folder: Path, selection: Selection, notes: list[str] | None = None) -> tuple[Shown, ...]:
    """Return the chosen rows of a cell that is done, test instruction by test instruction.

    `notes` takes of which files they are no longer what was scored.
    """
    record = read_cell(folder)
    if record.state != "done":
        raise UserError(f"{folder}: the cell is {record.state}; only what is done can be shown.")
    return tuple(_chosen(record, folder, selection, [] if notes is None else notes))


def _chosen(record: CellRecord, folder: Path, selection: Selection, notes: list[str]) -> Iterator[Shown]:
    labels = dict.fromkeys(
        name for block in record.every_block for name in (block.instruction, record.test_name(block))
    )
    if selection.tested and selection.tested not in labels:
        raise unknown("test instruction", selection.tested, labels)
    tasks: dict[str, None] = {}
    for block in record.every_block if selection.tested else record.blocks:
        if selection.tested in ("", block.instruction, record.test_name(block)):
            rows, told = scored_rows(folder, block)
            notes += [f"{folder.name}: {told}"] if told else []
            for row in rows:
                tasks[row.task] = None
                if selection.task in ("", row.task) and not (selection.wrong and is_right(row)):
                    yield Shown(record.test_name(block), row)
    if selection.task and selection.task not in tasks:
        raise unknown("task", selection.task, sorted(tasks))


def spread(rows: Sequence[Shown], most: int) -> tuple[Shown, ...]:
    """Return at most so many rows (0: all), of as many tasks and test instructions as can be, in their order.

    As many of each as of any other, as far as there are; the first ones of each.
    """
    if not most or most >= len(rows):
        return tuple(rows)
    places: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(rows):
        places.setdefault((one.tested, one.row.task), []).append(place)
    taken: list[int] = []
    while (left := most - len(taken)) > 0:
        each = [places[key] for key in places if places[key]]
        # Fewer than there are groups: at even distances, so that the first test instruction's are not all of them.
        asked = each if left >= len(each) else [each[at * len(each) // left] for at in range(left)]
        taken += [own.pop(0) for own in asked]
    return tuple(rows[place] for place in sorted(taken))


def is_right(row: PredictionRow) -> bool:
    """Whether a prediction equals a reference under exact match, in generation too, or keeps to its constraints."""
    kept = row.get(PROMPT_STRICT)
    return (exact_match(row.prediction, row.references) if kept is None else kept) == 1


def differing(first: Sequence[Shown], second: Sequence[Shown], wrong: bool = False) -> tuple[Shown, ...]:
    """Return the rows of both cells whose predictions are not the same text; `wrong`: those that the second has wrong.

    A cell that was tested under one instruction is held against the other's one, whatever their labels. Rows are given
    right and wrong, for what is left out says nothing of how a cell was tested.
    """
    alone = all(len({one.tested for one in side}) == 1 for side in (first, second))
    others = {("" if alone else one.tested, one.row.key): one.row for one in second}
    pairs = ((one, others.get(("" if alone else one.tested, one.row.key))) for one in first)
    return tuple(
        Shown(one.tested, one.row, other)
        for one, other in pairs
        if other is not None and other.prediction != one.row.prediction and not (wrong and is_right(other))
    )


def lines(shown: Shown) -> Iterator[str]:
    """Yield a row as text for a terminal."""
    row, other = shown.row, shown.other
    yield RULE
    yield f"{row.task} {row.instance_id}, tested on {shown.tested}"
    if other is not None and row.prompt != other.prompt:
        yield from _labelled("prompt of the first", row.prompt)
        yield from _labelled("prompt of the second", other.prompt)
    else:
        yield from _labelled("prompt", row.prompt or "(prompts were not saved)")
    yield from _labelled("references", " | ".join(row.references))
    if other is None:
        yield from _answer("prediction", row)
    else:
        yield from _answer("first", row)
        yield from _answer("second", other)


def _answer(name: str, row: PredictionRow) -> Iterator[str]:
    right = "right" if is_right(row) else "wrong"
    yield from _labelled(f"{name} ({right}{CUT if row.cut else ''})", row.prediction)


def _labelled(name: str, text: str) -> Iterator[str]:
    yield f"{name}:"
    yield textwrap.indent(text, "    ") if text.strip() else f"    {_blank(text)}"


def _blank(text: str) -> str:
    """Write what could not be seen: nothing, or white space alone."""
    return f"(white space alone: {text!r})" if text else EMPTY


def row_fields(shown: Shown) -> dict[str, Any]:
    """Return a row for programs."""
    row = shown.row
    fields: dict[str, Any] = {
        "task": row.task,
        "category": row.category,
        "kind": row.kind,
        "instance_id": row.instance_id,
        "tested_on": shown.tested,
        "prompt": row.prompt,
        "prediction": row.prediction,
        "references": list(row.references),
        "right": is_right(row),
        "cut": row.cut,
        "scores": dict(row.values),
    }
    if shown.other is not None:
        other = shown.other
        fields["other"] = {"prompt": other.prompt, "prediction": other.prediction, "cut": other.cut}
    return fields
