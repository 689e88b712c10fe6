"""From the rows of a prompt set in P3 to a task: their texts, and the choices that belong together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.intake import Columns, Draft, Row, admit
from instruct_ablate.tasks.intake.source import Fault, Parsed
from instruct_ablate.tasks.readers import t0
from instruct_ablate.tasks.readers.t0 import PER_CHOICE

INPUTS, TARGETS, CHOICES = "inputs_pretokenized", "targets_pretokenized", "answer_choices"
CORRECT, PLACE = "is_correct", "idx"  # of sets with a row for each choice
_SPECIAL = re.compile(r"(?:\s*(?:<\|endoftext\|>|</s>|<pad>))+\s*$")
Rows = Callable[[], Iterable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class PromptSet:
    """One prompt set: its data set and template in one name, and where its rows are."""

    name: str
    test: bool
    rows: Rows
    where: str
    templates: int = 0  # of its data set, where tasks.mixture caps the data set's examples


def parse(sets: list[PromptSet]) -> Iterator[Parsed | Fault]:
    """Read the sets one after another, each as a task or as what is wrong with it."""
    for item in sets:
        try:
            yield _task(item)
        except UserError as error:
            yield Fault(str(error))


def _task(item: PromptSet) -> Parsed | Fault:
    try:
        rows = list(_rows(item))
    except _KeysError as error:
        return Fault(f"{item.where}: {error}")
    if item.name.endswith(PER_CHOICE) and any(CORRECT in given for _, given in rows):
        return admit(_draft(item, _by_choices(rows)), item.test)
    made = [
        Row(f"row {at + 1}", _stripped(given[INPUTS]), given[TARGETS], choices=given.get(CHOICES), place=at)
        for at, given in rows
    ]
    return admit(_draft(item, made), item.test)


class _KeysError(Exception):
    """A row without the keys that every row needs."""


def _rows(item: PromptSet) -> Sequence[tuple[int, dict[str, Any]]]:
    """Return the rows with their places; of a large training data set, the share that the mixture's cap leaves."""

    def checked() -> Iterator[tuple[int, dict[str, Any]]]:
        for at, row in enumerate(item.rows()):
            if not row.keys() >= {INPUTS, TARGETS}:
                raise _KeysError(
                    f"row {at + 1}: the keys {INPUTS!r} and {TARGETS!r} are needed; "
                    f"it has {', '.join(sorted(map(str, row)))}"
                )
            yield at, row

    return t0.capped(checked(), item.templates, item.name) if item.templates else list(checked())


def _stripped(given: object) -> object:
    return given.strip() if isinstance(given, str) else given


def _by_choices(rows: Sequence[tuple[int, dict[str, Any]]]) -> list[Row]:
    """Bring together the rows that hold one choice each: those marked incorrect are choices, and no references."""
    groups: dict[object, list[tuple[int, dict[str, Any]]]] = {}
    for at, given in rows:
        place = given.get(PLACE)
        first = place[0] if isinstance(place, list | tuple) and place else given[INPUTS]
        groups.setdefault((type(first).__name__, str(first)), []).append((at, given))
    return [
        Row(
            f"row {group[0][0] + 1}",
            _stripped(group[0][1][INPUTS]),
            [given[TARGETS] for _, given in group if given.get(CORRECT)] or None,
            choices=[given[TARGETS] for _, given in group],
            place=group[0][0],
        )
        for group in groups.values()
    ]


def _draft(item: PromptSet, rows: list[Row]) -> Draft:
    held = t0.held_out(item.name)
    return Draft(
        name=item.name,
        rows=rows,
        source=item.where,
        # By data set, as T0 is scored: a category's accuracy is the mean over its templates' instances.
        categories=(held, t0.HELD_OUT[held]) if held else (item.name.partition("_")[0],),
        columns=Columns(INPUTS, TARGETS, CHOICES),
        trimmed=clean,
        prompted=True,
        has_ids=False,
        derives=False,
    )


def clean(text: str) -> str:
    """Strip white space and special tokens at the end, such as <|endoftext|>, that published copies carry."""
    return _SPECIAL.sub("", text).strip()
