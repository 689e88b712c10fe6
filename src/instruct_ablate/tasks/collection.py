"""Task collections by name: one function from the configuration to tasks, parsed once and kept."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

from instruct_ablate.errors import UserError, UserErrors, unknown
from instruct_ablate.extensions import decorated, load_function
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import label_space, selection
from instruct_ablate.tasks.source import Source
from instruct_ablate.tasks.store import Stored, load_or_build
from instruct_ablate.tasks.task import Task, TaskCollection

READERS = {
    "natural_instructions": "natural_instructions",
    "starter": "starter_reader",
    "p3": "p3",
    "instruction_json": "instruction_json",
    "hf_dataset": "hf_dataset",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A registered reader: the keys of `tasks` it uses and how it finds its files."""

    name: str
    fields: frozenset[str]
    open: Callable[[TasksConfig, Path], Source]


def read_tasks(config: TasksConfig, cache: Path | None = None) -> TaskCollection:
    """Read the training and test tasks that the configuration asks for.

    `config.reader` is a registered name, or `module.function` of your own that takes a `TasksConfig` and returns
    a `TaskCollection`. Parsed files are kept under `cache` by the hash of their content.
    """
    if "." in config.reader:
        return _own_reader(config)
    reader = find_reader(config.reader)
    check(config)
    folder = cache or Path(os.environ.get("INSTRUCT_ABLATE_CACHE", ".cache"))
    source = reader.open(config, folder)
    stored = load_or_build(source, folder)
    kept, notes = selection.select(stored, config)
    return _collect(source, kept, (*source.notes, *notes), _spaces(config, stored), config)


def reader(function: Callable[[TasksConfig], TaskCollection]) -> Callable[[TasksConfig], TaskCollection]:
    """Mark a function of your own as a reader, to be named by `tasks.reader=module.function`."""
    return decorated("tasks.reader", function)


def find_reader(name: str) -> Reader:
    """Return a registered reader; its module is imported only now."""
    if name not in READERS:
        raise unknown("tasks.reader", name, READERS)
    module = importlib.import_module(f"instruct_ablate.tasks.{READERS[name]}")
    return Reader(name, module.FIELDS, module.open_source)


def check(config: TasksConfig) -> None:
    """Refuse keys that the reader would ignore, and numbers that make no sense; cheap, nothing is read."""
    if "." in config.reader:
        return
    reader = find_reader(config.reader)
    default = TasksConfig(reader=config.reader)
    faults = [
        f"tasks.{field.name} is set, but the reader {reader.name!r} does not use it. It uses: "
        f"{', '.join(sorted(reader.fields))}."
        for field in fields(TasksConfig)
        if field.name not in reader.fields
        and vars(config)[field.name] != vars(default)[field.name]
        and field.name != "reader"
    ]
    if faults:
        raise UserErrors(faults)
    selection.check(config)


def _own_reader(config: TasksConfig) -> TaskCollection:
    try:
        function = load_function(config.reader, "tasks.reader")
    except UserError as error:
        raise UserError(
            f"tasks.reader={config.reader}: cannot import it ({error}) Or give one of: {', '.join(sorted(READERS))}."
        ) from error
    collection = function(config)
    if not isinstance(collection, TaskCollection):
        raise UserError(
            f"tasks.reader={config.reader} must return a TaskCollection, not {type(collection).__name__}."
        )
    return collection


def _spaces(config: TasksConfig, stored: Sequence[Stored]) -> dict[str, tuple[str, ...] | None]:
    """Return the label spaces that override derived ones: the package's, then the user's."""
    spaces = dict(label_space.read_overrides(label_space.OVERRIDES))
    if config.label_spaces is not None:
        path = Path(config.label_spaces).expanduser()
        own = label_space.read_overrides(path)
        label_space.check_names(path, own, [item.parsed.task.name for item in stored])
        spaces |= own
    return spaces


def _collect(
    source: Source,
    kept: Sequence[Stored],
    notes: tuple[str, ...],
    spaces: label_space.Spaces,
    config: TasksConfig,
) -> TaskCollection:
    test = [_first(item.parsed.task, config.test_instances) for item in kept if item.parsed.test]
    train = [item.parsed.task for item in kept if not item.parsed.test]
    met = tuple(note for item in kept for note in item.parsed.notes)
    return TaskCollection(
        name=source.name,
        train=label_space.overridden(train, spaces),
        test=label_space.overridden(test, spaces),
        content_hash=_content_hash(kept, spaces, config.test_instances),
        notes=(*notes, *met),
    )


def _first(task: Task, count: int) -> Task:
    kept = tuple(task.instances[:count])
    choices = task.answer_choices
    if choices:
        ids = {instance.id for instance in kept}
        choices = tuple(pair for pair in choices if pair[0] in ids)
    return replace(task, instances=kept, answer_choices=choices)


def _content_hash(kept: Sequence[Stored], spaces: label_space.Spaces, test_instances: int) -> str:
    """Hash the tasks that are used, whatever their order in the split lists."""
    total = hashlib.sha256()
    for item in sorted(kept, key=lambda item: item.parsed.task.name):
        name = item.parsed.task.name
        used = test_instances if item.parsed.test else len(item.parsed.task.instances)
        used = min(used, len(item.parsed.task.instances))
        space = cast("object", spaces[name]) if name in spaces else "derived"
        total.update(repr((name, item.digest, item.parsed.test, used, space)).encode())
    return total.hexdigest()
