"""One task file in the Super-NaturalInstructions layout (Wang et al. 2022), with the oddities of the real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError
from instruct_ablate.tasks.intake.choices import references_of
from instruct_ablate.tasks.intake.data_file import read_json
from instruct_ablate.tasks.intake.intake import Draft, Row, admit
from instruct_ablate.tasks.intake.source import Fault, Parsed
from instruct_ablate.tasks.intake.text import NotTextError, Oddities, clean, text_of
from instruct_ablate.tasks.task import Example

LANGUAGES = ("Input_language", "Output_language", "Instruction_language")


class BrokenTaskError(Exception):
    """A task file that cannot be used; the message lacks only the file's name."""


def read_task_file(path: Path, test: bool) -> Parsed | Fault:
    """Parse one file; what is fatal becomes a `Fault` that names the file and the key."""
    try:
        raw = read_json(path)
        if not isinstance(raw, dict):
            raise BrokenTaskError(
                "holds no JSON object; a task file is an object with Definition and Instances"
            )
        return _parse(path, raw, test)
    except UserError as error:
        return Fault(str(error))
    except BrokenTaskError as error:
        return Fault(f"{path}: {error}")


def _parse(path: Path, raw: Mapping[str, Any], test: bool) -> Parsed | Fault:
    oddities: Oddities = Counter()
    definition = _definition(raw)
    rows = _rows(raw)
    positive = _examples(raw, "Positive Examples", oddities)
    negative = _examples(raw, "Negative Examples", oddities)
    draft = Draft(
        name=path.stem,
        rows=rows,
        source=str(path),
        definition=definition,
        positive=positive,
        negative=negative,
        categories=_words(raw, "Categories") or _uncategorised(oddities),
        lenient=True,
    )
    return admit(draft, test, tuple(_words(raw, key) for key in LANGUAGES), oddities)


def _definition(raw: Mapping[str, Any]) -> str:
    """Take the first of several definitions, as Tk-Instruct's collator does."""
    given = raw.get("Definition")
    first = given[0] if isinstance(given, list) and given else given
    if not isinstance(first, str) or not first.strip():
        raise BrokenTaskError("key 'Definition' is missing or empty; it must be a text or a list of texts")
    return first


def _rows(raw: Mapping[str, Any]) -> list[Row]:
    given = raw.get("Instances")
    if not isinstance(given, list) or not given:
        raise BrokenTaskError("key 'Instances' is missing or empty; it must be a list of {id, input, output}")
    items = [item if isinstance(item, dict) else {} for item in given]
    return [
        Row(f"instance {at + 1}", item.get("input"), item.get("output"), item.get("id"), place=at)
        for at, item in enumerate(items)
    ]


def _examples(raw: Mapping[str, Any], key: str, oddities: Oddities) -> tuple[Example, ...]:
    given = raw.get(key)
    examples = []
    for item in given if isinstance(given, list) else []:
        example = _example(item, oddities) if isinstance(item, dict) else None
        if example is None:
            oddities[f"incomplete item of {key!r} left out"] += 1
        else:
            examples.append(example)
    if not examples:
        oddities[f"no {key.lower()}"] += 1
    return tuple(examples)


def _example(item: Mapping[str, Any], oddities: Oddities) -> Example | None:
    try:
        text = text_of(item.get("input"), oddities)
        references = references_of(item.get("output"), oddities)
    except NotTextError:
        return None
    if text is None or not references:
        return None
    explanation = item.get("explanation")
    why = clean(explanation, oddities) if isinstance(explanation, str) else ""
    return Example(text, references[0], why)


def _words(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = raw.get(key)
    items = given if isinstance(given, list) else [given]
    return tuple(item for item in items if isinstance(item, str) and item)


def _uncategorised(oddities: Oddities) -> tuple[str, ...]:
    oddities["no category"] += 1
    return ("Uncategorised",)
