"""Variants of the definition: simplified, empty, irrelevant, misleading and the task's name."""

from __future__ import annotations

import re
from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.instruction.words.outputs import distinct
from instruct_ablate.instruction.words.wording import without_wording
from instruct_ablate.normalisation import label_form
from instruct_ablate.tasks.task import Task

# Sentences about nothing that any task asks for; our own.
IRRELEVANT = (
    "The ferry to the island leaves twice a day in winter.",
    "Most of the old orchard was replanted after the storm.",
    "A wooden chair lasts longer when it is kept away from the stove.",
    "The town hall clock has been seven minutes slow since spring.",
    "Gravel roads need more care than people think.",
    "In the harbour, three boats were waiting for better weather.",
    "The bakery on the corner closes early on Thursdays.",
    "Moss grows best on the side of the wall that faces the river.",
)


def label_list(labels: tuple[str, ...]) -> str:
    """Write labels as Kung & Peng (2023) do: "Label: 1. Label: 2." (a rendering recalled, not checked)."""
    ended = (label if label.endswith((".", "!", "?")) else f"{label}." for label in distinct(labels))
    return " ".join(f"Label: {label}" for label in ended)


@variant("definition")
def original(task: Task, context: Context) -> Task:
    """Leave the definition as it is."""
    return task


@variant("definition")
def empty(task: Task, context: Context) -> Task:
    """Leave the definition out (Kung & Peng 2023; the null prompt of Webson & Pavlick 2021)."""
    return without_wording(task, context.whole(task), {}) if task.prompted else replace(task, definition="")


@variant("definition")
def simplified(task: Task, context: Context) -> Task:
    """Keep nothing of the definition but the output space: the labels, or nothing for generation.

    Kung & Peng (2023). In a collection with prompts of its own (P3) the prompt's wording gives way to the
    answer choices, or to nothing for generation; what the wording was wrapped around stays.
    """
    if task.prompted:
        spaces = {i.id: task.label_space or () for i in task.instances} | dict(task.answer_choices)
        choices = {key: label_list(labels) for key, labels in spaces.items()}
        return without_wording(task, context.whole(task), choices)
    return replace(task, definition=label_list(task.label_space or ()))


@variant("definition")
def irrelevant(task: Task, context: Context) -> Task:
    """Say something that has nothing to do with any task (Webson & Pavlick 2021)."""
    return replace(task, definition=context.random(task, "irrelevant").choice(IRRELEVANT))


def _others(task: Task, context: Context) -> list[Task]:
    # By the text, not by the name: tasks that share a definition would mislead nobody.
    same = label_form(task.definition)
    return [other for other in context.tasks if other.definition and label_form(other.definition) != same]


def _borrow(task: Task, context: Context, others: list[Task], purpose: str) -> Task:
    """Take the definition of one of `others`; the task as it is where there is none (the check says so)."""
    return replace(task, definition=context.pick(task, others, purpose).definition) if others else task


def _alike(task: Task, others: list[Task]) -> list[Task]:
    """Return the one task whose definition shares most words (Jaccard) with this one's, the first by name."""
    words = set(label_form(task.definition).split())

    def distance(other: Task) -> tuple[float, str]:
        theirs = set(label_form(other.definition).split())
        return -len(words & theirs) / len(words | theirs), other.name

    return sorted(others, key=distance)[:1]


@variant("definition")
def misleading(task: Task, context: Context) -> Task:
    """Give the definition of any other task."""
    return _borrow(task, context, _others(task, context), "misleading")


@variant("definition")
def misleading_moderate(task: Task, context: Context) -> Task:
    """Give the definition of another task of the same category (Webson & Pavlick 2021).

    A task alone in its category gets the definition that shares most words with its own.
    """
    others = _others(task, context)
    near = [other for other in others if other.category == task.category]
    return _borrow(task, context, near or _alike(task, others), "misleading_moderate")


@variant("definition")
def misleading_extreme(task: Task, context: Context) -> Task:
    """Give the definition of a task of another category (Webson & Pavlick 2021, misleading-extreme)."""
    far = [other for other in _others(task, context) if other.category != task.category]
    return _borrow(task, context, far, "misleading_extreme")


@variant("definition")
def task_name(task: Task, context: Context) -> Task:
    """Give the task's name only: task1390_wscfixed_coreference becomes "wscfixed coreference"."""
    bare = re.sub(r"^task\d+[_-]?", "", task.name) or task.name
    return replace(task, definition=" ".join(re.split(r"[_\s]+", bare)).strip())


@variant("definition", changes=("definition", "instances"))
def response_only(task: Task, context: Context) -> Task:
    """Train on responses alone (Hewitt et al. 2024): neither definition nor input; use with examples=empty.

    The one variant that changes two fields: an input left standing would be an instruction of its own.
    """
    return replace(task, definition="", instances=tuple(replace(i, input="") for i in task.instances))
