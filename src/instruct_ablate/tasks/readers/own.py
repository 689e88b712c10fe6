"""A reader of the user's own: `module.function`; its tasks pass the same gate as those of the other readers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from instruct_ablate.configuration.extensions import called, load_function
from instruct_ablate.disk.whole_files import read_sealed, write_sealed
from instruct_ablate.errors import UserError, UserErrors
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.intake.intake import tidied
from instruct_ablate.tasks.intake.source import Fault
from instruct_ablate.tasks.sampling.order import USUAL_ORDER
from instruct_ablate.tasks.task import Task, TaskCollection


def read_own(config: TasksConfig, cache: Path, registered: Iterable[str]) -> TaskCollection:
    """Call the user's function and check what it returns."""
    try:
        function = load_function(config.reader, "tasks.reader")
    except UserError as error:
        why = str(error).removesuffix(".")
        raise UserError(
            f"tasks.reader={config.reader}: cannot import it ({why}). Or give one of: {', '.join(sorted(registered))}."
        ) from error
    collection = called("tasks.reader", function, config)
    if not isinstance(collection, TaskCollection):
        raise UserError(
            f"tasks.reader={config.reader} must return a TaskCollection, not {type(collection).__name__}."
        )
    (train, first), (test, second) = (_tidied(side, config) for side in (collection.train, collection.test))
    if not test:
        raise UserError(f"tasks.reader={config.reader} returned no test task: nothing could be evaluated.")
    content = _content(train, test)
    return TaskCollection(
        collection.name,
        train,
        test,
        _checked(collection.content_hash, content, config, cache) or content,
        (*collection.notes, *first, *second),
        order="" if collection.content_hash else USUAL_ORDER,  # the hash of their content tells it
    )


def _tidied(tasks: Iterable[Task], config: TasksConfig) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    given = tuple(tasks)
    if strange := next((task for task in given if not isinstance(task, Task)), None):
        raise UserError(f"tasks.reader={config.reader} must return Tasks, not {type(strange).__name__}.")
    made = [tidied(task) for task in given]
    counts = Counter(task.name for task in given)
    faults = [f"tasks.reader={config.reader}: {item.message}" for item in made if isinstance(item, Fault)]
    faults += [
        f"tasks.reader={config.reader}: {count} tasks of one side are called {name!r}: names tell them apart"
        for name, count in counts.items()
        if count > 1
    ]
    if faults:
        raise UserErrors(faults)
    good = [item for item in made if not isinstance(item, Fault)]
    return tuple(task for task, _ in good), tuple(note for _, notes in good for note in notes)


def _content(train: Sequence[Task], test: Sequence[Task]) -> str:
    """Hash all that the tasks hold."""
    total = hashlib.sha256()
    for side, tasks in (("train", train), ("test", test)):
        for task in tasks:
            total.update(f"{side} {task!r} {task.answer_choices!r} {tuple(task.instances)!r}".encode())
            if task.languages:
                total.update(repr(task.languages).encode())
    return total.hexdigest()


def _checked(given: str, content: str, config: TasksConfig, cache: Path) -> str:
    """Return the reader's own content hash; refuse one that stood for other tasks before.

    It is part of every cell's identity: under the hash of other tasks, finished cells would count as done.
    """
    if not given:
        return ""
    # Without the place: the same data somewhere else are the same tasks.
    settings = {**dataclasses.asdict(config), "root": None}
    key = hashlib.sha256(json.dumps([given, settings], sort_keys=True).encode()).hexdigest()
    seen = cache / "tasks" / "own" / key[:32]
    if (before := read_sealed(seen)) is None:  # none, or damaged
        write_sealed(seen, content, "cache")
    elif before != content:
        raise UserError(
            f"tasks.reader={config.reader} returned other tasks than before under the same content_hash {given!r}: "
            "leave content_hash out, so that it is made from the tasks, or let it change with them."
        )
    return given
