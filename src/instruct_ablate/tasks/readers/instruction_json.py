"""Reader of instruction data in the Alpaca format: records of instruction, input and output (Taori et al. 2023).

Records with the same instruction make one task; the instruction is its definition.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.data_file import stem
from instruct_ablate.tasks.intake.intake import Draft, Row, admit, first_named
from instruct_ablate.tasks.intake.rows import data_files, read_rows
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.intake.text import Number, clean
from instruct_ablate.tasks.sampling import selection

FIELDS = selection.BY_SIDE | {
    "root",
    "include",
    "train_split",
    "test_split",
    "test_tasks",
    "test_instances",
    "validation",
    "label_spaces",
    "categories",
}
TEST_SHARE = 10  # without a test file, every tenth instruction, chosen by hash, is a test task


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Find the files: `tasks.root` is one file, or a folder in which the two splits name files."""
    if config.root is None:
        raise UserError(
            "tasks.root is needed: a JSON (or JSON lines) file of {instruction, input, output} records."
        )
    root = Path(config.root).expanduser()
    if not root.exists():
        raise UserError(f"tasks.root={root}: no such file or folder.")
    train, test = (_files(root, split) for split in (config.train_split, config.test_split))
    if config.test_split is not None:
        sides: list[tuple[Path, bool | None]] = [(path, False) for path in train if path not in test]
        sides += [(path, True) for path in test]
    else:
        sides = [(path, None) for path in train]
    parse = partial(_parse, sides, config.include)
    # What earlier versions parsed under patterns was not held against all of them.
    key = f"each of {config.include} {sides}" if config.include else f"{config.include} {sides}"
    return Source("instruction_json", tuple(path for path, _ in sides), parse, key=key)


def _files(root: Path, split: str | None) -> list[Path]:
    """Return the files of a split: those whose name, or stem, it is; all where none is named."""
    files = data_files(root)
    chosen = [path for path in files if split is None or split in (path.name, stem(path))]
    if not chosen:
        there = ", ".join(path.name for path in files) or "no data files"
        raise UserError(f"tasks.root={root}: no file {split!r}; there: {there}.")
    return chosen


def _parse(sides: list[tuple[Path, bool | None]], include: list[str]) -> Iterator[Parsed | Fault]:
    groups: dict[tuple[str, bool], list[Row]] = {}
    for path, side in sides:
        faults = []
        for at, row in enumerate(read_rows(path)):
            instruction = _instruction(row)
            if instruction is None:
                faults.append(
                    f"{path}: record {at + 1}: key 'instruction' is missing, empty or no text; it has "
                    f"{', '.join(sorted(map(str, row)))}"
                )
                continue
            test = _held_out(instruction) if side is None else side
            groups.setdefault((instruction, test), []).append(_row(row, f"{path}: record {at + 1}"))
        yield from map(Fault, first_named(faults))
    named = {key: _name(key[0]) for key in groups}
    yield from map(Fault, selection.unincluded(include, [*named.values()]))
    for (instruction, test), rows in groups.items():
        name = named[instruction, test]
        if selection.matches(name, include):
            yield admit(_draft(name, instruction, rows), test)


def _instruction(row: Mapping[str, Any]) -> str | None:
    """Return the instruction as clean text; the same instruction makes the same task, however it is written."""
    value = row.get("instruction")
    text = clean(value, Counter()).strip() if isinstance(value, str) and not isinstance(value, Number) else ""
    return text or None


def _row(row: Mapping[str, Any], where: str) -> Row:
    """Take one record; without `input`, or where it is null, the instruction alone is the prompt."""
    given = row.get("input")
    return Row(where, "" if given is None else given, row.get("output"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _held_out(instruction: str) -> bool:
    # By the instruction alone: records that are added move no other task to the other side.
    return int(_hash(instruction)[:8], 16) % TEST_SHARE == 0


def _name(instruction: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", instruction.lower()).strip("_")[:40].strip("_")
    return f"{words}_{_hash(instruction)[:8]}"


def _draft(name: str, instruction: str, rows: list[Row]) -> Draft:
    return Draft(
        name=name,
        rows=[replace(row, place=at) for at, row in enumerate(rows)],
        source="",
        definition=instruction,
        categories=("Instructions",),
        has_ids=False,
    )
