"""Reader of the published IFEval file format (Zhou et al. 2023): `key`, `prompt`, `instruction_id_list`, `kwargs`.

The file is the user's own (`tasks.root`). Its instruction ids are mapped to the checks of this package, which are ours:
what they count may differ in rare cases from the published code (docs/tasks.md says where). All prompts are one task,
so that its means are over prompts and over instructions; what is trained on is the starter collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.constraints import Constraint, make
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.intake import Row, first_named
from instruct_ablate.tasks.intake.rows import data_files, read_rows
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.intake.text import Number
from instruct_ablate.tasks.readers import starter
from instruct_ablate.tasks.readers.verifiable import request_task, with_training
from instruct_ablate.tasks.sampling import selection

FIELDS = selection.BY_SIDE | {"root", "test_instances", "validation", "label_spaces"}
KEY, PROMPT, IDS, KWARGS = "key", "prompt", "instruction_id_list", "kwargs"
OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find the file, and the tasks that are trained on."""
    if config.root is None:
        raise UserError(
            f"tasks.root is needed for reader=ifeval_format: a JSON lines file of {PROMPT}, {IDS} and {KWARGS}."
        )
    root = Path(config.root).expanduser()
    if not root.is_file():
        raise UserError(
            f"tasks.root={root}: no such file; give one JSON lines file of {PROMPT}, {IDS} and {KWARGS}."
        )
    return with_training(
        starter.FOLDER, config, Source("ifeval_format", data_files(root), partial(_parse, root))
    )


def _parse(path: Path) -> Iterator[Parsed | Fault]:
    given = list(read_rows(path))
    if strange := _unknown(given):
        yield Fault(f"{path}: unknown instruction ids: {', '.join(strange)}. Known: {', '.join(MADE)}.")
        return
    rows: list[tuple[Row, tuple[Constraint, ...]]] = []
    faults: list[str] = []
    for at, one in enumerate(given):
        try:
            rows.append(
                (Row(f"row {at + 1}", one.get(PROMPT), None, one.get(KEY), place=at), constraints_in(one))
            )
        except UserErrors as error:
            faults += [f"row {at + 1}: {fault}" for fault in error.faults]
    yield from (Fault(f"{path}: {fault}") for fault in first_named(faults))
    if not faults:
        yield request_task("ifeval_format", "", "Verifiable instructions", str(path), rows)


def _unknown(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids that there is no check for."""
    lists = (row.get(IDS) for row in rows)
    names = {str(name) for ids in lists if isinstance(ids, list) for name in ids if str(name) not in MADE}
    return [repr(name) for name in sorted(names)]


def constraints_in(row: Mapping[str, Any]) -> tuple[Constraint, ...]:
    """Return the constraints of a row; all that is wrong with it is one error."""
    ids, kwargs = row.get(IDS), row.get(KWARGS)
    if not isinstance(ids, list) or not ids:
        raise UserErrors([f"{IDS!r} must be a list of ids; the row has {', '.join(sorted(map(str, row)))}"])
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        raise UserErrors([f"{KWARGS!r} must be a list with an object for each of the {len(ids)} ids"])
    found, faults = list[Constraint](), list[str]()
    for name, values in zip(ids, kwargs, strict=True):
        try:
            found.append(_constraint(name, values))
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserErrors(faults)
    return tuple(found)


def _constraint(name: str, values: object) -> Constraint:
    given = values if isinstance(values, dict) else {}
    try:
        return MADE[name]({key: _plain(value) for key, value in given.items() if value is not None})
    except UserError as error:
        raise UserError(f"instruction {name}: {error}") from error


def _plain(value: Any) -> Any:
    """Return a number of the file as one, whole where it is: 300.0 is 300."""
    if isinstance(value, Number):
        value = float(value) if len(value) < 20 else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


Kwargs = Mapping[str, Any]


def _renamed(kind: str, /, *fixed: tuple[str, Any], **names: str) -> Callable[[Kwargs], Constraint]:
    """Map kwargs to a kind's parameters of other names; `fixed` are values that the format does not state."""

    def made(given: Kwargs) -> Constraint:
        return make(kind, **dict(fixed), **{ours: given.get(theirs) for ours, theirs in names.items()})

    return made


_LENGTH = "length_constraints"
_FORMAT = "detectable_format"
_EXACT, _LEAST = ("relation", "exactly"), ("relation", "at least")
MADE: dict[str, Callable[[Kwargs], Constraint]] = {
    "keywords:existence": _renamed("keywords", words="keywords"),
    "keywords:frequency": _renamed("keyword_count", word="keyword", relation="relation", count="frequency"),
    "keywords:forbidden_words": _renamed("forbidden", words="forbidden_words"),
    "keywords:letter_frequency": _renamed(
        "letter_count", letter="letter", relation="let_relation", count="let_frequency"
    ),
    "language:response_language": _renamed("language", language="language"),
    f"{_LENGTH}:number_sentences": _renamed("sentences", relation="relation", count="num_sentences"),
    f"{_LENGTH}:number_paragraphs": _renamed("paragraphs", ("divider", "***"), count="num_paragraphs"),
    f"{_LENGTH}:number_words": _renamed("words", relation="relation", count="num_words"),
    f"{_LENGTH}:nth_paragraph_first_word": _renamed(
        "paragraph_start", count="num_paragraphs", place="nth_paragraph", word="first_word"
    ),
    "detectable_content:number_placeholders": _renamed("placeholders", _LEAST, count="num_placeholders"),
    "detectable_content:postscript": _renamed("postscript", marker="postscript_marker"),
    f"{_FORMAT}:number_bullet_lists": _renamed("items", ("mark", "bullet"), _EXACT, count="num_bullets"),
    f"{_FORMAT}:constrained_response": _renamed("choice", ("options", OPTIONS)),
    f"{_FORMAT}:number_highlighted_sections": _renamed("highlights", _LEAST, count="num_highlights"),
    f"{_FORMAT}:multiple_sections": _renamed(
        "sections", _LEAST, name="section_spliter", count="num_sections"
    ),
    f"{_FORMAT}:json_format": _renamed("json", ("value", "any")),
    f"{_FORMAT}:title": _renamed("title"),
    "combination:two_responses": _renamed("two_answers"),
    "combination:repeat_prompt": _renamed("repeat_prompt", text="prompt_to_repeat"),
    "startend:end_checker": _renamed("end_phrase", phrase="end_phrase"),
    "startend:quotation": _renamed("quoted"),
    "change_case:capital_word_frequency": _renamed(
        "capital_words", relation="capital_relation", count="capital_frequency"
    ),
    "change_case:english_capital": _renamed("case", ("case", "upper"), ("language", "en")),
    "change_case:english_lowercase": _renamed("case", ("case", "lower"), ("language", "en")),
    "punctuation:no_comma": _renamed("no_commas"),
}
