"""Reader of your own data set as one task: a local folder or a hub id, its columns, a definition and labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError, UserErrors, meant, unknown
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.intake import Columns, Draft, Row, admit
from instruct_ablate.tasks.intake.rows import data_files, files_below
from instruct_ablate.tasks.intake.source import Fault, Parsed, Source
from instruct_ablate.tasks.readers.dataset_splits import Split, find_splits

FIELDS = frozenset(
    {"root", "train_split", "test_split", "columns", "definition", "labels", "test_instances", "label_spaces"}
    | {"examples"}
)
COLUMNS = ("input", "output", "id", "choices")


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Check what the task needs and plan the load; a local copy is watched by its content, a hub one by its name."""
    _check(config)
    root = Path(str(config.root)).expanduser()
    files = files_below(root) if root.is_dir() else data_files(root) if root.exists() else ()
    names = FIELDS - {"test_instances", "label_spaces", "examples"}
    used = {name: value for name, value in asdict(config).items() if name in names}
    # `content_key` has a file's own name and content: of which split it is, the folders above it can say.
    key = {**used, "files": [str(path.relative_to(root)) for path in files]}
    return Source("hf_dataset", files, partial(_parse, config, cache), key=json.dumps(key, sort_keys=True))


def _check(config: TasksConfig) -> None:
    faults = [
        f"tasks.{key} is needed for reader=hf_dataset: {what}"
        for key, what in (
            ("root", "a local folder or file, or a hub id"),
            ("definition", "what the task asks for, in a sentence or a few"),
            ("test_split", "the split that models are tested on"),
        )
        if not vars(config)[key]
    ]
    faults += [
        f"tasks.columns.{key} is needed: the column with the {key}"
        for key in COLUMNS[:2]
        if key not in config.columns
    ]
    faults += [
        f"tasks.columns: unknown key {key!r}{meant(key, COLUMNS)}"
        for key in config.columns
        if key not in COLUMNS
    ]
    if config.examples and config.train_split is None:
        faults.append(
            f"tasks.examples={config.examples}: they are drawn from tasks.train_split, which is not given"
        )
    if len(set(config.labels)) == 1:
        faults.append(
            f"tasks.labels={config.labels}: one label is no classification; name two or more, or none"
        )
    if faults:
        raise UserErrors(faults)


def _parse(config: TasksConfig, cache: Path) -> Iterator[Parsed | Fault]:
    with find_splits(str(config.root), cache) as splits:
        for name, test in ((config.train_split, False), (config.test_split, True)):
            if name is None:
                continue
            if name not in splits:
                raise UserError(f"{unknown(f'split of {config.root}', name, splits)}{_one_file(config)}")
            try:
                yield admit(_draft(config, splits[name], name), test)
            except UserError as error:
                yield Fault(str(error))


def _one_file(config: TasksConfig) -> str:
    """Say how a file comes to two splits, where the root is one file."""
    root = Path(str(config.root)).expanduser()
    if not root.is_file():
        return ""
    ending = "".join(root.suffixes[-2:] if root.suffix == ".gz" else root.suffixes[-1:])
    return (
        f" A file by itself is the split train: divide it into train{ending} and test{ending} in a folder, "
        "and name the folder in tasks.root."
    )


def _draft(config: TasksConfig, split: Split, name: str) -> Draft:
    rows = list(_chosen(config, split.rows(), name))
    if not rows:
        raise UserError(f"tasks.root={config.root}: split {name!r} has no rows.")
    stem = Path(str(config.root)).stem
    columns = config.columns
    return Draft(
        name=stem,
        rows=_labelled(config, rows, split.label_names(columns["output"]), name),
        source=f"tasks.root={config.root}",
        definition=str(config.definition),
        prefix=f"{stem}-{name}",
        labels=tuple(config.labels) or None,
        columns=Columns(columns["input"], columns["output"], columns.get("choices", "choices")),
        has_ids="id" in columns,
    )


def _chosen(config: TasksConfig, rows: Iterable[Mapping[str, Any]], split: str) -> Iterator[Row]:
    """Take the named columns; each must be in some row, as JSON leaves out what is empty."""
    columns, missing = config.columns, set(config.columns.values())
    there: dict[str, None] = {}
    for at, row in enumerate(rows):
        there |= dict.fromkeys(row)
        missing -= row.keys()
        given = {role: row.get(column) for role, column in columns.items()}
        yield Row(
            f"{split}, row {at + 1}",
            given["input"],
            given["output"],
            given.get("id"),
            given.get("choices"),
            at,
        )
    if there and missing:
        raise unknown(f"column of {config.root}, split {split},", min(missing), there)


def _labelled(config: TasksConfig, rows: list[Row], names: tuple[str, ...], split: str) -> list[Row]:
    """Put labels in place of their numbers.

    Numbers and truth values count through `tasks.labels`, else through the names that the data set has, unless
    all rows hold the labels themselves (such as 1 and 2): what a column holds is decided once, by all its rows.
    """
    labels = config.labels or names
    outputs = [row.output for row in rows if row.output is not None]
    if not labels or all(_is_label(output, labels) for output in outputs):
        return rows
    return [replace(row, output=_label(row, labels, config)) for row in rows]


def _is_label(output: object, labels: Sequence[str]) -> bool:
    if isinstance(output, bool) or not isinstance(output, str | int):
        return isinstance(
            output, list | dict
        )  # several references: whether they agree is checked for all tasks
    return str(output) in labels


def _label(row: Row, labels: Sequence[str], config: TasksConfig) -> object:
    """Return the label that a row's number stands for; of names that the data set has, a text may be none."""
    output, column = row.output, config.columns["output"]
    if not isinstance(output, bool | int | str) or (isinstance(output, str) and output in labels):
        return output
    if isinstance(output, str) and not output.strip().isdecimal():
        if not config.labels:
            return output
        raise UserError(
            f"tasks.labels: {row.where}: column {column!r} holds {output!r}, not one of: {', '.join(labels)}."
        )
    if not 0 <= int(output) < len(labels):
        raise UserError(
            f"tasks.labels: {row.where}: column {column!r} holds {output}, but there are {len(labels)} labels."
        )
    return labels[int(output)]
