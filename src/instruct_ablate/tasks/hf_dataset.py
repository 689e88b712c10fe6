"""Reader of your own data set as one task: a local folder or a hub id, its columns, a definition and labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from instruct_ablate.errors import UserError, UserErrors, meant, unknown
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.label_space import derive
from instruct_ablate.tasks.rows import data_files
from instruct_ablate.tasks.source import Fault, Parsed, Source
from instruct_ablate.tasks.task import Instance, Task

FIELDS = frozenset(
    {"root", "train_split", "test_split", "columns", "definition", "labels", "test_instances", "label_spaces"}
)
COLUMNS = ("input", "output", "id", "choices")
FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".arrow": "arrow", ".csv": "csv"}


def open_source(config: TasksConfig, cache: Path) -> Source:
    """Check what the task needs and plan the load; a local copy is watched by its content, a hub one by its name."""
    _check(config)
    root = Path(str(config.root)).expanduser()
    files = data_files(root) if root.exists() else ()
    told = {
        k: v for k, v in asdict(config).items() if k in FIELDS and k not in ("test_instances", "label_spaces")
    }
    return Source("hf_dataset", files, partial(_parse, config, cache), key=json.dumps(told, sort_keys=True))


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
    if faults:
        raise UserErrors(faults)


def _parse(config: TasksConfig, cache: Path) -> Iterator[Parsed | Fault]:
    splits = _load(config, cache)
    for name, test in ((config.train_split, False), (config.test_split, True)):
        if name is None:
            continue
        if name not in splits:
            raise unknown(f"split of {config.root}", name, splits)
        try:
            yield Parsed(_task(config, splits[name], name), test)
        except UserError as error:
            yield Fault(str(error))


def _load(config: TasksConfig, cache: Path) -> Any:
    """Load all splits: a folder written by save_to_disk, plain data files, or a data set of the hub."""
    import datasets

    root = Path(str(config.root)).expanduser()
    try:
        if (root / "dataset_dict.json").is_file():
            return datasets.load_from_disk(str(root))
        if root.is_file():
            builder = FORMATS.get(root.suffix, root.suffix)
            return datasets.load_dataset(builder, data_files=str(root), cache_dir=str(cache / "datasets"))
        return datasets.load_dataset(str(config.root), cache_dir=str(cache / "datasets"))
    except Exception as error:  # the library raises many kinds; each means that nothing came
        raise UserError(f"tasks.root={config.root}: `datasets` cannot load it: {error}") from error


def _task(config: TasksConfig, rows: Any, split: str) -> Task:
    for column in config.columns.values():
        if column not in rows.column_names:
            raise unknown(f"column of {config.root}, split {split},", column, rows.column_names)
    name = Path(str(config.root)).stem
    instances, choices = [], []
    for at, row in enumerate(rows):
        identity = str(row[config.columns["id"]]) if "id" in config.columns else f"{name}-{split}-{at}"
        output = _label(config, rows, row[config.columns["output"]], f"{split}, row {at + 1}")
        instances.append(Instance(identity, str(row[config.columns["input"]]), (output,)))
        if "choices" in config.columns:
            choices.append((identity, tuple(map(str, row[config.columns["choices"]]))))
    if not instances:
        raise UserError(f"tasks.root={config.root}: split {split!r} has no rows.")
    definition = str(config.definition)
    space = tuple(config.labels) or (None if choices else derive(definition, instances, ()))
    return Task(name, definition, tuple(instances), label_space=space, answer_choices=tuple(choices))


def _label(config: TasksConfig, rows: Any, value: object, where: str) -> str:
    """Return the output as text: numbers count through `tasks.labels`, else through the data set's own names."""
    column = config.columns["output"]
    if isinstance(value, int) and not isinstance(value, bool):
        names = list(config.labels) or list(vars(rows.features[column]).get("names") or ())
        if names and not 0 <= value < len(names):
            raise UserError(
                f"tasks.labels: {where}: column {column!r} holds {value}, but there are {len(names)} labels."
            )
        return names[value] if names else str(value)
    text = str(value)
    if config.labels and text not in config.labels:
        allowed = ", ".join(config.labels)
        raise UserError(f"tasks.labels: {where}: column {column!r} holds {text!r}, not one of: {allowed}.")
    return text
