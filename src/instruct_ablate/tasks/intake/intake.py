"""Where all readers meet: rows as they are in a file become a task of clean texts with unique ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from instruct_ablate.tasks.intake.choices import choices_of, references_of
from instruct_ablate.tasks.intake.ids import unique_ids
from instruct_ablate.tasks.intake.source import Fault, Parsed
from instruct_ablate.tasks.intake.text import NotTextError, Oddities, clean, notes_of, text_of
from instruct_ablate.tasks.label_space import derive
from instruct_ablate.tasks.task import Example, Instance, Task

T = TypeVar("T")
_NAMED = 3  # so many rows of a task that cannot be used are named, the others counted

Choices = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An instance as a file has it: values of any type, and where it stands ("record 3")."""

    where: str
    input: object
    output: object
    id: object = None
    choices: object = None
    place: int = 0  # what it is named by where it has no id


@dataclass(frozen=True, slots=True)
class Columns:
    """What a source calls its columns, for messages."""

    input: str = "input"
    output: str = "output"
    choices: str = "choices"


@dataclass(frozen=True, slots=True)
class Draft:
    """A task as a file has it, before its texts are checked.

    `source` names the file in messages. `lenient`: rows that lack something are left out and counted, as the
    published collections need; else they are refused. `trimmed` is applied to outputs and choices. `has_ids`:
    the source has ids, so that a row without one is worth a note. `derives`: without a label space of its own
    and without choices, the task gets the one that its outputs show.
    """

    name: str
    rows: Sequence[Row]
    source: str
    definition: str = ""
    prefix: str = ""  # of made ids; empty: the task's name
    positive: tuple[Example, ...] = ()
    negative: tuple[Example, ...] = ()
    categories: tuple[str, ...] = ("Uncategorised",)
    labels: tuple[str, ...] | None = None
    columns: Columns = Columns()
    trimmed: Callable[[str], str] = str
    prompted: bool = False
    lenient: bool = False
    has_ids: bool = True
    derives: bool = True


class _RowError(Exception):
    """A row that cannot be used, and why."""


def admit(
    draft: Draft,
    test: bool,
    languages: tuple[tuple[str, ...], ...] = (),
    oddities: Oddities | None = None,
) -> Parsed | Fault:
    """Make the task of a draft, with notes on what was met; what cannot be used is one fault that names it."""
    met = Counter() if oddities is None else oddities
    read = _read_rows(draft, met)
    if isinstance(read, Fault):
        return read
    instances, choices = _identified(draft, read, met)
    definition = clean(draft.definition, met)
    space, own = _space(draft, definition, instances, choices)
    task = Task(
        name=draft.name,
        definition=definition,
        instances=instances,
        positive_examples=draft.positive,
        negative_examples=draft.negative,
        categories=draft.categories,
        label_space=space,
        prompted=draft.prompted,
        answer_choices=own,
    )
    return Parsed(task, test, languages, notes_of(draft.name, met))


@dataclass(frozen=True, slots=True)
class _Read:
    """A row's texts, its id still as it was given."""

    row: Row
    input: str
    references: tuple[str, ...]
    choices: tuple[str, ...]


def _read_rows(draft: Draft, oddities: Oddities) -> list[_Read] | Fault:
    read, faults = [], []
    for row in draft.rows:
        try:
            read.append(_read(row, draft, oddities))
        except _RowError as error:
            what, detail = error.args
            faults.append(f"{row.where}: {detail}")
            if draft.lenient:
                oddities[f"instance {what} left out"] += 1
    source = f"{draft.source}: " if draft.source else ""
    if faults and not (draft.lenient and read):
        return Fault(source + "; ".join(first_named(faults)))
    return read or Fault(f"{source}no rows")


def first_named(faults: Sequence[str]) -> list[str]:
    """Return the first few of many faults, and how many more there are."""
    more = len(faults) - _NAMED
    return [*faults[:_NAMED], *([f"and {more} more such rows"] if more > 0 else [])]


def _read(row: Row, draft: Draft, oddities: Oddities) -> _Read:
    columns = draft.columns
    text = _value(text_of, row.input, "input", columns.input, oddities)
    if text is None:
        raise _RowError("without input", f"{columns.input!r} is missing or null")
    references = _value(references_of, row.output, "output", columns.output, oddities)
    if not references:
        raise _RowError("without output", f"{columns.output!r} is missing or null")
    choices = _value(choices_of, row.choices, "choices", columns.choices, oddities)
    trimmed = draft.trimmed
    return _Read(row, text, tuple(map(trimmed, references)), tuple(map(trimmed, choices)))


def _value(
    read: Callable[[object, Oddities], T], value: object, role: str, column: str, oddities: Oddities
) -> T:
    try:
        return read(value, oddities)
    except NotTextError as error:
        hint = ""
        if isinstance(value, bool):
            hint = ": give its two texts, for false and true, as tasks.labels=[no, yes]"
        raise _RowError(f"whose {role} is no text", f"{column!r} holds {error}, not text{hint}") from error


def _identified(
    draft: Draft, read: Sequence[_Read], oddities: Oddities
) -> tuple[tuple[Instance, ...], Choices]:
    given = [(item.row.place, item.row.id) for item in read]
    ids = unique_ids(given, draft.prefix or draft.name, oddities, draft.has_ids)
    pairs = list(zip(ids, read, strict=True))
    instances = tuple(Instance(name, item.input, item.references) for name, item in pairs)
    return instances, tuple((name, item.choices) for name, item in pairs if item.choices)


def _space(
    draft: Draft, definition: str, instances: Sequence[Instance], choices: Choices
) -> tuple[tuple[str, ...] | None, Choices]:
    """Return the label space, and the choices that differ by instance.

    Prompt sets: choices that all instances share are the label space, as they stand.
    """
    if draft.labels is not None or not draft.prompted:
        space = draft.labels
        if space is None and not choices and draft.derives:
            space = derive(definition, instances, draft.positive)
        return space, choices
    different = {own for _, own in choices}
    if len(different) == 1 and len(choices) == len(instances):
        return next(iter(different)), ()
    return None, choices


def tidied(task: Task) -> tuple[Task, tuple[str, ...]] | Fault:
    """Put a task that a user's own reader made through the same gate."""
    choices = _own_choices(task)
    rows = [
        Row(f"instance {at + 1}", one.input, one.references, one.id, choices(at, one.id), at)
        for at, one in enumerate(task.instances)
    ]
    admitted = admit(
        Draft(task.name, rows, f"task {task.name!r}", task.definition, derives=False), test=False
    )
    if isinstance(admitted, Fault):
        return admitted
    made = replace(
        task,
        definition=admitted.task.definition,
        instances=admitted.task.instances,
        answer_choices=admitted.task.answer_choices,
        label_space=None if task.label_space is None else tuple(task.label_space),
    )
    return made, admitted.notes


def _own_choices(task: Task) -> Callable[[int, str], object]:
    """Find an instance's choices: by place where every instance has a pair (ids may repeat), else by id."""
    pairs: Sequence[tuple[str, object]] = tuple(task.answer_choices)
    if [name for name, _ in pairs] == [one.id for one in task.instances]:
        return lambda at, name: pairs[at][1]
    by_id = dict(pairs)
    return lambda at, name: by_id.get(name)
