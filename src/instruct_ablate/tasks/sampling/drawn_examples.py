"""Examples drawn from training rows (`tasks.examples`), for a data set that brings none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from instruct_ablate.errors import UserError
from instruct_ablate.plural import counted
from instruct_ablate.tasks.task import Example, Instance, Task


def with_examples(
    train: Sequence[Task], test: Sequence[Task], count: int
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """Give tasks without examples `count` of their training rows, which are trained on no more.

    What is drawn depends on the rows alone, not on the seed: all cells of a grid show the same. A row whose input is
    tested is no example, and what is trained on has no example's input.
    """
    tested = {instance.input for task in test for instance in task.instances}
    drawn = {
        task.name: _draw(task, tested, count)
        for task in train
        if not task.positive_examples and not task.prompted
    }
    left = (_shown(task, drawn) for task in train)
    inputs = {name: {one.input for one in rows} for name, rows in drawn.items()}
    trained = tuple(
        task.only([one for one in task.instances if one.input not in inputs[task.name]])
        if task.name in inputs
        else task
        for task in left
    )
    return trained, tuple(_shown(task, drawn) for task in test)


def _shown(task: Task, drawn: dict[str, list[Instance]]) -> Task:
    if task.name not in drawn or task.positive_examples:
        return task
    examples = (Example(one.input, one.references[0]) for one in drawn[task.name])
    return replace(task, positive_examples=tuple(examples))


def _draw(task: Task, tested: set[str], count: int) -> list[Instance]:
    """Draw rows of different inputs and, as far as there are, of different labels by turns."""
    rows: dict[str, Instance] = {}
    for one in sorted(task.instances, key=_order):
        if one.input not in tested:
            rows.setdefault(one.input, one)
    turns: dict[str, int] = {}
    ranked = []
    for one in rows.values():
        turn = turns[one.references[0]] = turns.get(one.references[0], 0) + 1
        ranked.append((turn if task.label_space else 0, one))
    picked = [one for _, one in sorted(ranked, key=lambda pair: pair[0])[:count]]
    if len(picked) < count or len(rows) == count:
        raise UserError(
            f"tasks.examples={count}: {task.name} has {counted(len(rows), 'training row')} of different "
            "inputs that are not "
            "tested. Give fewer, or a larger tasks.train_split."
        )
    return picked


def _order(instance: Instance) -> bytes:
    return hashlib.sha256(f"{instance.input}\0{instance.references[0]}".encode("utf-8", "replace")).digest()
