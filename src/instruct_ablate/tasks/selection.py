"""Which tasks of a collection are kept: by language and category, and a spread of test tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from instruct_ablate.errors import UserError, UserErrors, meant
from instruct_ablate.schema import TasksConfig
from instruct_ablate.tasks.store import Stored
from instruct_ablate.tasks.task import Task


def check(config: TasksConfig) -> None:
    """Refuse numbers of test tasks or instances below one."""
    faults = []
    if config.test_tasks is not None and config.test_tasks < 1:
        faults.append(f"tasks.test_tasks={config.test_tasks}: give 1 or more, or null for all.")
    if config.test_instances < 1:
        faults.append(f"tasks.test_instances={config.test_instances}: give 1 or more.")
    if faults:
        raise UserErrors(faults)


def select(stored: Sequence[Stored], config: TasksConfig) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
    """Return the tasks kept, in their order, and notes on what was left out."""
    notes: list[str] = []
    kept = [item for item in stored if _speaks(item, config.language)]
    if len(kept) < len(stored):
        notes.append(
            f"tasks.language={config.language}: {len(stored) - len(kept)} tasks in other languages left out"
        )
    if config.categories:
        _check_categories(kept, config.categories)
        kept = [item for item in kept if item.parsed.task.category in config.categories]
    test = [item for item in kept if item.parsed.test]
    if not test:
        raise UserError(f"no test task is left: {_filters(config)}. Widen them: nothing could be evaluated.")
    if config.test_tasks is not None:
        if config.test_tasks > len(test):
            notes.append(
                f"tasks.test_tasks={config.test_tasks}: there are {len(test)} test tasks; all are used"
            )
        names = spread([item.parsed.task for item in test], config.test_tasks)
        kept = [item for item in kept if not item.parsed.test or item.parsed.task.name in names]
    if all(item.parsed.test for item in kept):
        notes.append("no training task is left: only untuned models and baselines can be evaluated")
    return tuple(kept), tuple(notes)


def spread(tasks: Sequence[Task], count: int) -> frozenset[str]:
    """Choose tasks by turns from every category, so that few of them still stand for all.

    Order within a category, and of the categories, is that of a hash: the same everywhere, and a smaller
    choice is contained in a larger one.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted((task.name for task in tasks), key=_shuffled):
        groups.setdefault(next(task.category for task in tasks if task.name == name), []).append(name)
    queues = [groups[category] for category in sorted(groups, key=_shuffled)]
    turns = [(turn, at, name) for at, queue in enumerate(queues) for turn, name in enumerate(queue)]
    return frozenset(name for _, _, name in sorted(turns)[:count])


def _shuffled(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def _speaks(item: Stored, language: str | None) -> bool:
    """Tell whether input, output and instruction are in the language; a task that does not say passes."""
    return language is None or all(language in names for names in item.parsed.languages if names)


def _check_categories(kept: Sequence[Stored], wanted: Sequence[str]) -> None:
    known = sorted({item.parsed.task.category for item in kept})
    faults = [
        f"tasks.categories: unknown category {name!r}{meant(name, known)}"
        for name in wanted
        if name not in known
    ]
    if faults:
        raise UserErrors(faults)


def _filters(config: TasksConfig) -> str:
    return f"tasks.language={config.language}, tasks.categories={config.categories}, tasks.include={config.include}"
