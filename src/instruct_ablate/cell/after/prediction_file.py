"""Files of predictions made elsewhere: JSON lines in the column names people use.

A column may lie in a nested object, as in Tk-Instruct's own files (`{"Task": …, "Instance": {"id": …},
"Prediction": …}`); case, spaces, dashes and underscores in names do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError

# What each column may be called, best name first.
TASK = ("task", "task_name", "task_id", "dataset")
INSTANCE = ("instance_id", "instance.id", "id", "example_id", "uid", "idx", "instance")
PREDICTION = (
    "prediction", "pred", "predicted", "predictions", "output_text", "generated_text", "generation",
    "completion", "response", "model_output", "answer", "text", "output",
)  # fmt: skip
PROMPT = ("prompt", "source", "model_input", "full_prompt")
REFERENCES = ("references", "reference", "targets", "target", "gold", "labels", "instance.output")
COLUMNS = {
    "task": TASK,
    "instance": INSTANCE,
    "prediction": PREDICTION,
    "prompt": PROMPT,
    "references": REFERENCES,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One line: task (None where the file names none), instance id, text; prompt and references if given."""

    task: str | None
    instance_id: str
    text: str
    prompt: str = ""
    references: tuple[str, ...] = ()


def read_answers(path: Path, columns: Mapping[str, str] | None = None) -> tuple[Answer, ...]:
    """Read a file of predictions; `columns` names columns (the keys of `COLUMNS`) by hand."""
    columns = columns or {}
    for key in columns:
        if key not in COLUMNS:
            raise UserError(f"column {key!r} is not one of {', '.join(COLUMNS)}.")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}. Give a JSON-lines file in UTF-8.") from error
    answers = tuple(
        _answer(_parsed(line, path, number), columns, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    )
    if not answers:
        raise UserError(f"{path} holds no predictions.")
    return answers


def _parsed(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: not JSON ({error}).") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number}: an object is expected, not {type(row).__name__}.")
    return _flat(row)


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return columns under plain names; those of a nested object as `outer.inner`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        key = prefix + _plain(name)
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) else {key: value}
    return flat


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _answer(row: dict[str, Any], columns: Mapping[str, str], where: str) -> Answer:
    task = _column(row, "task", columns)
    instance, text = _column(row, "instance", columns), _column(row, "prediction", columns)
    if instance is None or text is None:
        lacking = "instance id" if instance is None else "prediction"
        key = "instance" if instance is None else "prediction"
        raise UserError(
            f"{where}: no {lacking} among the columns {', '.join(row) or '(none)'}. "
            f"It may be called {', '.join(COLUMNS[key])}."
        )
    if isinstance(text, list):
        text = text[0] if text else ""
    if not isinstance(text, str | int | float):
        raise UserError(f"{where}: the prediction is {type(text).__name__}, a text is expected.")
    prompt, right = _column(row, "prompt", columns), _column(row, "references", columns)
    references = tuple(str(one) for one in (right if isinstance(right, list) else [right]) if one is not None)
    return Answer(_task_name(task), str(instance), str(text), str(prompt or ""), references)


def _task_name(value: Any) -> str | None:
    return None if value is None else str(value).removesuffix(".json")


def _column(row: Mapping[str, Any], key: str, columns: Mapping[str, str]) -> Any:
    """Return the value of the first column there is; None where none is."""
    names = (_plain(columns[key]),) if key in columns else COLUMNS[key]
    return next((row[name] for name in names if row.get(name) is not None), None)
