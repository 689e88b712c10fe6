"""Task collections by name: one function from the configuration to tasks, parsed once and kept."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

from instruct_ablate.configuration.extensions import check_arguments, decorated
from instruct_ablate.errors import UserError, UserErrors, unknown
from instruct_ablate.limits import check_limits
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks import label_space, mixture
from instruct_ablate.tasks.intake.choice_check import check_choices, with_real_choices
from instruct_ablate.tasks.intake.source import MendedError, Source
from instruct_ablate.tasks.readers.own import read_own
from instruct_ablate.tasks.sampling import few_shot, selection, validation
from instruct_ablate.tasks.sampling.drawn_examples import with_examples
from instruct_ablate.tasks.sampling.order import order_of
from instruct_ablate.tasks.sampling.repeated import repeated_notes
from instruct_ablate.tasks.settings import LIMITS
from instruct_ablate.tasks.store import Stored, load_or_build
from instruct_ablate.tasks.task import Task, TaskCollection

# Modules of `tasks/readers`, each imported when a configuration names it.
READERS = (
    "natural_instructions",
    "starter",
    "p3",
    "instruction_json",
    "hf_dataset",
    "verifiable",
    "everyday",
    "ifeval_format",
)


@dataclass(frozen=True, slots=True)
class Reader:
    """A registered reader: the keys of `tasks` it uses and how it finds its files."""

    name: str
    fields: frozenset[str]
    open: Callable[[TasksConfig, Path], Source]


MOST_HELD = 8  # collections
_HELD: ContextVar[dict[str, TaskCollection] | None] = ContextVar("held", default=None)


def read_tasks(config: TasksConfig, cache: Path | None = None) -> TaskCollection:
    """Read the training and test tasks that the configuration asks for.

    `config.reader` is a registered name, or `module.function` of your own that takes a `TasksConfig` and returns
    a `TaskCollection`. Parsed files are kept under `cache` by the hash of their content.
    """
    folder = cache or Path(os.environ.get("INSTRUCT_ABLATE_CACHE", ".cache"))
    held = _HELD.get()
    if held is None:
        return _read(config, folder)
    key = f"{folder} {config!r}"  # configurations hold lists, and so have no hash
    if (known := held.get(key)) is None:
        known = _read(config, folder)
        while len(held) >= MOST_HELD:
            del held[next(iter(held))]
        held[key] = known
    return known


@contextmanager
def each_read_once() -> Iterator[None]:
    """Read a collection once within the block, however often it is asked for; the last few are held, and then let go.

    For checks of many cells before anything runs: what stands on disk is read as it was at the first of them.
    """
    token = _HELD.set({})
    try:
        yield
    finally:
        _HELD.reset(token)


def _read(config: TasksConfig, folder: Path) -> TaskCollection:
    check(config)
    if config.reader == mixture.READER:
        collection = _mixed(config, folder)
    else:
        collection = _own(config, folder) if "." in config.reader else _registered(config, folder)
    if config.sha256 not in (None, collection.content_hash):
        raise UserError(
            f"tasks.sha256={config.sha256}, and the tasks of {config.name or config.reader} have "
            f"{collection.content_hash}: other data, or other tasks and instances of it."
        )
    return collection


def _own(config: TasksConfig, folder: Path) -> TaskCollection:
    given = read_own(config, folder, READERS)
    return _checked(few_shot.parted(given, config) if few_shot.asked(config) else given, config)


def _mixed(config: TasksConfig, folder: Path) -> TaskCollection:
    merged = mixture.read(config, lambda part: read_tasks(part, folder))
    return validation.held_out(merged, config.validation)


def everything(config: TasksConfig, instances: int) -> TasksConfig:
    """Return the same tasks with as many test tasks as there are, and so many instances of each."""
    if config.reader != mixture.READER:
        return replace(config, test_tasks=None, test_instances=instances)
    parts = {name: vars(everything(part, instances)) for name, part in mixture.parts(config).items()}
    return replace(config, parts=parts)


def _registered(config: TasksConfig, folder: Path) -> TaskCollection:
    reader = find_reader(config.reader)
    source = reader.open(config, folder)
    try:
        stored = load_or_build(source, folder)
    except MendedError:
        source = reader.open(config, folder)
        stored = load_or_build(source, folder)
    kept, notes = selection.select(stored, config)
    own = _own_spaces(config, stored)
    packaged = label_space.read_overrides(label_space.OVERRIDES)
    # Of all that was read, so that what is selected of it changes no task's labels.
    both = label_space.of_both_sides(*_sides(stored))
    # The later one holds: what the user says, else the package's corrections, else what is derived.
    collection = _collect(source, kept, (*source.notes, *notes), both | packaged | own, config)
    return _checked(collection, config, packaged.keys() - own.keys())


def _checked(
    collection: TaskCollection, config: TasksConfig, as_given: Collection[str] = ()
) -> TaskCollection:
    """Drop label spaces that are none, see that choices and targets agree, hold out tasks; so for all readers."""
    train, first = with_real_choices(collection.train)
    test, second = with_real_choices(collection.test)
    repeated = repeated_notes(train, test)
    notes = (*collection.notes, *first, *second, *check_choices(test, as_given), *repeated)
    order = collection.order or order_of(train)
    whole = replace(collection, train=train, test=test, notes=notes, order=order)
    return validation.held_out(whole, config.validation)


def reader(function: Callable[[TasksConfig], TaskCollection]) -> Callable[[TasksConfig], TaskCollection]:
    """Mark a function of your own as a reader, to be named by `tasks.reader=module.function`."""
    check_arguments("tasks.reader", function, ("config",))
    return decorated("tasks.reader", function)


def find_reader(name: str) -> Reader:
    """Return a registered reader; its module is imported only now."""
    if name not in READERS:
        raise unknown("tasks.reader", name, (*READERS, mixture.READER))
    module = importlib.import_module(f"instruct_ablate.tasks.readers.{name}")
    return Reader(name, module.FIELDS, module.open_source)


def check(config: TasksConfig) -> None:
    """Refuse keys that the reader would ignore, and values that make no sense; cheap, nothing is read."""
    check_limits("tasks", config, LIMITS)
    if "." in config.reader:
        if faults := few_shot.faults(config):
            raise UserErrors(faults)
        return
    mixed = config.reader == mixture.READER
    used = mixture.FIELDS if mixed else find_reader(config.reader).fields
    default = TasksConfig(reader=config.reader)
    faults = [
        f"tasks.{field.name} is set, but the reader {config.reader!r} does not use it. It uses: "
        f"{', '.join(sorted(used))}."
        for field in fields(TasksConfig)
        if field.name not in used
        and vars(config)[field.name] != vars(default)[field.name]
        and field.name not in ("reader", "name", "sha256")  # for all of them
    ]
    if faults:
        raise UserErrors(faults)
    if mixed:
        mixture.check(config, check)
    else:
        selection.check(config)


def _own_spaces(config: TasksConfig, stored: Sequence[Stored]) -> dict[str, tuple[str, ...] | None]:
    """Return the user's label spaces, which override derived ones and the package's."""
    if config.label_spaces is None:
        return {}
    path = Path(config.label_spaces).expanduser()
    own = label_space.read_overrides(path)
    label_space.check_names(path, own, [item.parsed.task.name for item in stored])
    return own


def _collect(
    source: Source,
    kept: Sequence[Stored],
    notes: tuple[str, ...],
    spaces: label_space.Spaces,
    config: TasksConfig,
) -> TaskCollection:
    count = None if few_shot.asked(config) else config.test_instances
    test = [_first(_declared(item), count) for item in kept if item.parsed.test]
    train = [item.parsed.task for item in kept if not item.parsed.test]
    if config.examples:
        train, test = map(list, with_examples(train, test, config.examples))
    met = tuple(note for item in kept for note in item.parsed.notes)
    collection = TaskCollection(
        name=source.name,
        train=label_space.overridden(train, spaces),
        test=label_space.overridden(test, spaces),
        content_hash=_content_hash(kept, spaces, config.test_instances),
        notes=(*notes, *met),
    )
    return few_shot.parted(collection, config) if few_shot.asked(config) else collection


def _sides(stored: Sequence[Stored]) -> tuple[list[Task], list[Task]]:
    """Return the training tasks and the test tasks."""
    train, test = (
        [item.parsed.task for item in stored if item.parsed.test == side] for side in (False, True)
    )
    return train, test


def _declared(item: Stored) -> Task:
    """Return the task with the languages that the collection declares of its outputs."""
    languages = item.parsed.languages
    return replace(item.parsed.task, languages=languages[1]) if languages else item.parsed.task


def _first(task: Task, count: int | None) -> Task:
    return task if count is None else task.only(task.instances[:count])


def _content_hash(kept: Sequence[Stored], spaces: label_space.Spaces, test_instances: int | None) -> str:
    """Hash the tasks that are used, whatever their order in the split lists."""
    total = hashlib.sha256()
    for item in sorted(kept, key=lambda item: item.parsed.task.name):
        name = item.parsed.task.name
        there = len(item.parsed.task.instances)
        used = there if test_instances is None or not item.parsed.test else min(test_instances, there)
        space = cast("object", spaces[name]) if name in spaces else "derived"
        total.update(repr((name, item.digest, item.parsed.test, used, space)).encode())
    return total.hexdigest()
