"""Whether a task's choices can be right: a set of one is no choice, and some choice must be a reference."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from instruct_ablate.errors import UserErrors
from instruct_ablate.normalisation import is_answerable
from instruct_ablate.tasks.task import Task

MOST_WRONG = 0.1  # of a test task's rows: with more that no choice answers, its scores would mean nothing


def with_real_choices(tasks: Sequence[Task]) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """Return the tasks without label spaces and choices of one label, which are no classification, and notes."""
    notes: list[str] = []
    return tuple(_with_real_choices(task, notes) for task in tasks), tuple(notes)


def _with_real_choices(task: Task, notes: list[str]) -> Task:
    space, own = task.label_space, [choices for _, choices in task.answer_choices]
    single = sum(map(_is_one, own))
    if space is not None and _is_one(space):
        notes.append(f"{task.name}: {_only(space)}: no classification, it is scored as generation")
        return replace(task, label_space=None)
    if own and single == len(own):
        notes.append(
            f"{task.name}: every row has one answer choice: no classification, it is scored as generation"
        )
        return replace(task, answer_choices=())
    if own and task.unlisted:
        notes.append(
            f"{task.name}: {task.unlisted} of {len(task.instances)} rows have no answer choices: it is scored as "
            "generation, and baselines of labels answer nothing there"
        )
    if single:
        notes.append(
            f"{task.name}: {single} of {len(own)} rows have one answer choice, which is always right"
        )
    return task


def _is_one(choices: Sequence[str]) -> bool:
    return (
        len({choice.strip() for choice in choices}) < 2
    )  # labels that only look equal are told before ranking


def _only(space: Sequence[str]) -> str:
    return f"its only label is {space[0]!r}" if space else "its label space is empty"


def check_choices(test: Sequence[Task], as_given: Collection[str] = ()) -> tuple[str, ...]:
    """Return notes on rows that no choice answers; refuse tasks with too many of them, but those `as_given`."""
    notes, faults = [], []
    for task in test:
        wrong, rows = unanswerable(task), len(task.instances)
        # No label is empty: a derived label space lacks just these, and is no less right for it.
        answered = sum(not right and any(map(str.strip, refs)) for right, refs, _ in _rows(task))
        found = f"{task.name}: {wrong} of {rows} rows have a target that is none of their choices"
        if answered > MOST_WRONG * rows and task.name not in as_given:
            faults.append(f"{found}{_example(task)}")
        elif wrong:
            notes.append(f"{found}: no choice is right there")
    if faults:
        raise UserErrors(faults)
    return tuple(notes)


def unanswerable(task: Task) -> int:
    """Count the instances of which no reference is among the choices, compared as exact match does."""
    return sum(not right for right, _, _ in _rows(task))


def _rows(task: Task) -> list[tuple[bool, tuple[str, ...], tuple[str, ...]]]:
    """Return for each instance with choices: whether one is right, the references, the choices."""
    if task.label_space is None and not task.answer_choices:
        return []
    own = dict(task.answer_choices)
    found = []
    for one in task.instances:
        choices = own.get(one.id, task.label_space)
        if choices is not None:
            found.append((is_answerable(choices, one.references), one.references, choices))
    return found


def _example(task: Task) -> str:
    """Show one row, and what to do."""
    references, choices = next(
        (refs, choices) for right, refs, choices in _rows(task) if not right and any(map(str.strip, refs))
    )
    shown = ", ".join(repr(choice[:40]) for choice in choices[:5])
    return (
        f": {references[0][:40]!r} is not among {shown}{', ...' if len(choices) > 5 else ''}. At most "
        f"{MOST_WRONG:.0%} may be so: mend the targets or the choices (the targets must be the choices' texts, not "
        "their letters or numbers), name the labels (tasks.label_spaces), or leave the task out (tasks.include)."
    )
