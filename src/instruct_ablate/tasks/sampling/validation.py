"""Training tasks that are held out (`tasks.validation`): models are chosen by them, and neither trained nor tested.

Which ones depends on the training tasks' names alone, by turns from their categories: the same for every seed, budget
and variant, and a smaller number is contained in a larger one. A training task that bears a test task's name is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.errors import UserError
from instruct_ablate.plural import counted, named
from instruct_ablate.tasks.sampling.selection import spread
from instruct_ablate.tasks.task import Task, TaskCollection


def held_out(collection: TaskCollection, count: int) -> TaskCollection:
    """Return the collection with `count` of its training tasks moved to `validation`."""
    if not count:
        return collection
    tested = {task.name for task in collection.test}
    fit = [task for task in collection.train if task.instances and task.name not in tested]
    if count > len(fit) or not _remaining(collection.train, count):
        raise UserError(
            f"tasks.validation={count}: the collection has "
            f"{counted(len(collection.train), 'training task')}, {len(fit)} of which could be "
            "held out, and one at least must remain to train on. Lower tasks.validation, or widen the choice "
            "(tasks.include, tasks.categories, tasks.train_include, tasks.train_categories)."
        )
    names = spread(fit, count)
    train = tuple(task for task in collection.train if task.name not in names)
    return replace(collection, train=train, validation=tuple(task for task in fit if task.name in names))


def _remaining(train: Sequence[Task], count: int) -> bool:
    """Whether a task with instances is left."""
    return sum(bool(task.instances) for task in train) > count


def held_out_line(collection: TaskCollection) -> str:
    """Name the tasks that are held out."""
    names = [task.name for task in collection.validation]
    every = len(names) + len(collection.train)
    return f"tasks.validation={len(names)}: of {counted(every, 'training task')} held out: {named(names, 8)}"
