"""Files of predictions made elsewhere: JSON lines, JSON, CSV or Parquet in the column names people use.

A column may lie in a nested object, as in Tk-Instruct's own files (`{"Task": …, "Instance": {"id": …},
"Prediction": …}`); case, spaces, dashes and underscores in names do not matter. Which column is which is decided
once for a file: where a row has nothing in it, nothing else stands in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from instruct_ablate.errors import UserError, closed
from instruct_ablate.tasks.intake.choices import references_of
from instruct_ablate.tasks.intake.ids import id_text
from instruct_ablate.tasks.intake.rows import read_rows
from instruct_ablate.tasks.intake.text import NotTextError, Oddities, text_of

# What each column may be called: plain names first, then those that may mean something else. Of two names on one
# line that a file both has, with different content, neither is taken.
COLUMNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "task": (("task", "task_name"), ("task_id", "dataset")),
    "instance": (("instance_id", "instance.id"), ("id", "example_id", "uid", "idx"), ("instance",)),
    "prediction": (
        (
            "prediction", "pred", "predicted", "predictions", "output_text", "generated_text", "generation",
            "completion", "response", "model_output",
        ),
        ("answer", "text", "output"),
    ),
    "prompt": (("prompt", "full_prompt", "model_input"), ("source",)),
    "references": (
        ("references", "reference", "targets", "target", "gold", "labels", "references.text"),
        ("instance.output",),
    ),
}  # fmt: skip
NEEDED = {"instance": "instance id", "prediction": "prediction"}

T = TypeVar("T")
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One row: task (None where the file names none), instance id, text (None: there is no prediction).

    Prompt and references if given.
    """

    task: str | None
    instance_id: str
    text: str | None
    prompt: str = ""
    references: tuple[str, ...] = ()


def read_answers(
    path: Path, columns: Mapping[str, str] | None = None, own_references: bool = True
) -> tuple[Answer, ...]:
    """Read a file of predictions; `columns` names columns (the keys of `COLUMNS`) by hand.

    References are read where they count: `own_references`.
    """
    given = columns or {}
    for key in given:
        if key not in COLUMNS:
            raise UserError(f"column {key!r} is not one of {', '.join(COLUMNS)}.")
    rows = [_columns(row, f"{path}, row {at}") for at, row in enumerate(read_rows(path), 1)]
    if not rows:
        raise UserError(f"{path} holds no predictions.")
    roles = [role for role in COLUMNS if own_references or role != "references"]
    chosen = {role: _chosen(path, role, given.get(role), rows) for role in roles}
    return tuple(_answer(row, chosen, f"{path}, row {at}") for at, row in enumerate(rows, 1))


def _columns(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return columns under plain names; those of a nested object as `outer.inner`."""
    columns: dict[str, Any] = {}
    for name, value in _flat(row):
        if columns.setdefault(name, value) != value:
            raise UserError(f"{where}: two columns are called {name[:100]!r} and differ; rename one.")
    return columns


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        key = prefix + _plain(name)
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _chosen(path: Path, role: str, by_hand: str | None, rows: Rows) -> str | None:
    """Choose the column of a role for the whole file; None where it may be absent and is."""
    there = dict.fromkeys(name for row in rows for name in row)
    if by_hand is not None:
        if _plain(by_hand) not in there:
            raise UserError(
                f"{path}: no column {by_hand!r}{closed(by_hand, there)} There: {', '.join(there)}."
            )
        return _plain(by_hand)
    for names in COLUMNS[role]:
        present = [name for name in there if name in names]
        if present:
            return _only(path, role, present, rows)
    if role in NEEDED:
        may_be = ", ".join(name for names in COLUMNS[role] for name in names)
        raise UserError(
            f"{path}: no {NEEDED[role]} among the columns {', '.join(there) or '(none)'}. It may be called "
            f"{may_be}, or be named by --column {role}=COLUMN."
        )
    return None


def _only(path: Path, role: str, present: Sequence[str], rows: Rows) -> str:
    """Return the one column there is, or the first of several that hold the same."""
    first, *others = present
    different = [name for name in others if any(row.get(name) != row.get(first) for row in rows)]
    if different:
        raise UserError(
            f"{path}: the {NEEDED.get(role, role)} could be {first!r} or {', '.join(map(repr, different))}, which "
            f"differ: say which by --column {role}={first}."
        )
    return first


def _answer(row: Mapping[str, Any], chosen: Mapping[str, str | None], where: str) -> Answer:
    task, instance, prediction, prompt, right = (
        row.get(chosen[role] or "") if chosen.get(role) else None for role in COLUMNS
    )
    identity = id_text(instance)
    if identity is None:
        raise UserError(f"{where}: no instance id in the column {chosen['instance']!r}.")
    references = _text(references_of, right, where, "references")
    return Answer(
        None if task is None else str(_text(text_of, task, where, "task")).removesuffix(".json"),
        identity,
        _prediction(prediction, where),
        _text(text_of, prompt, where, "prompt") or "",
        references,
    )


def _prediction(value: object, where: str) -> str | None:
    """Return the predicted text; of a list, its only item: which of several counts is not for us to say."""
    if isinstance(value, list | tuple):
        if any(item != value[0] for item in value[1:]):
            raise UserError(f"{where}: holds {len(value)} different predictions; give one a row.")
        value = value[0] if value else None
    return _text(text_of, value, where, "prediction")


def _text(read: Callable[[object, Oddities], T], value: object, where: str, role: str) -> T:
    try:
        return read(value, Counter())
    except NotTextError as error:
        raise UserError(f"{where}: the {role} is {error}; a text is expected.") from error
