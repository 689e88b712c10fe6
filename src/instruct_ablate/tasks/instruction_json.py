"""Reader of instruction data in the Alpaca format: records of instruction, input and output (Taori et al. 2023).

Records with the same instruction make one task; the instruction is its definition.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.label_space import derive
from instruct_ablate.tasks.rows import data_files, read_rows
from instruct_ablate.tasks.source import Fault, Parsed, Source
from instruct_ablate.tasks.task import Instance, Task

FIELDS = frozenset(
    {
        "root",
        "include",
        "train_split",
        "test_split",
        "test_tasks",
        "test_instances",
        "label_spaces",
        "categories",
    }
)
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
    return Source(
        "instruction_json", tuple(path for path, _ in sides), parse, key=f"{config.include} {sides}"
    )


def _files(root: Path, split: str | None) -> list[Path]:
    """Return the files of a split: those whose name, or stem, it is; all where none is named."""
    files = data_files(root)
    chosen = [path for path in files if split is None or split in (path.name, path.stem)]
    if not chosen:
        there = ", ".join(path.name for path in files) or "no data files"
        raise UserError(f"tasks.root={root}: no file {split!r}; there: {there}.")
    return chosen


def _parse(sides: list[tuple[Path, bool | None]], include: list[str]) -> Iterator[Parsed | Fault]:
    groups: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for path, side in sides:
        for at, row in enumerate(read_rows(path)):
            if fault := _fault(row):
                yield Fault(f"{path}: record {at + 1}: {fault}")
                continue
            instruction = row["instruction"].strip()
            test = _held_out(instruction) if side is None else side
            groups.setdefault((instruction, test), []).append((row.get("input") or "", row["output"]))
    tasks = [(_task(instruction, rows), test) for (instruction, test), rows in groups.items()]
    for task, test in tasks:
        if not include or any(fnmatchcase(task.name, pattern) for pattern in include):
            yield Parsed(task, test)


def _fault(row: dict[str, Any]) -> str | None:
    for key in ("instruction", "output"):
        if not isinstance(row.get(key), str) or not (row[key].strip() or key == "output"):
            return f"key {key!r} is missing or empty; it has {', '.join(sorted(row))}"
    if not isinstance(row.get("input", ""), str | None):
        return "key 'input' must be text"
    return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _held_out(instruction: str) -> bool:
    return int(_hash(instruction)[:8], 16) % TEST_SHARE == 0


def _task(instruction: str, rows: list[tuple[str, str]]) -> Task:
    words = re.sub(r"[^a-z0-9]+", "_", instruction.lower()).strip("_")[:40].strip("_")
    name = f"{words}_{_hash(instruction)[:8]}"
    instances = tuple(Instance(f"{name}-{at}", given, (output,)) for at, (given, output) in enumerate(rows))
    space = derive(instruction, instances, ())
    return Task(
        name=name,
        definition=instruction,
        instances=instances,
        categories=("Instructions",),
        label_space=space,
    )
