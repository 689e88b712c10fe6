"""The task: a definition, examples and instances, as every later stage sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["classification", "generation"]
WordRule = Literal["latin", "unicode"]  # how texts are cut into words: `tasks/languages.py`


@dataclass(frozen=True, slots=True)
class Example:
    """A demonstration of a task: input, output and, where the source has one, an explanation."""

    input: str
    output: str
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing to solve: the input and its references (one or more right outputs)."""

    id: str
    input: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a mixture that a training task is of, and its share of a total beside the other parts'."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a collection.

    `label_space` holds the outputs the task allows, in order of first appearance, or None for generation.
    `categories` are the collection's own (Super-NaturalInstructions: the first one counts in the scores).
    """

    name: str
    definition: str
    instances: tuple[Instance, ...]
    positive_examples: tuple[Example, ...] = ()
    negative_examples: tuple[Example, ...] = ()
    categories: tuple[str, ...] = ("Uncategorised",)
    label_space: tuple[str, ...] | None = None
    # Where the collection brings its own prompts (P3), they stand in for definition and template.
    prompted: bool = False
    # Answer choices that differ from one instance to the next (P3), by instance id.
    answer_choices: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)
    # Of its outputs, by their English names, where the collection declares them ("English", "Hindi").
    languages: tuple[str, ...] = field(default=(), repr=False)
    part: Part | None = field(default=None, repr=False)  # of a weighted mixture

    @property
    def kind(self) -> Kind:
        """Classification where the label space is known and closed, or each instance has its choices."""
        if self.label_space is not None or self.unlisted == 0:
            return "classification"
        return "generation"

    @property
    def unlisted(self) -> int:
        """How many instances have no answer choices, neither their own nor the task's."""
        if self.label_space is not None:
            return 0
        return (
            len(self.instances) - len(self.answer_choices)
            if self.answer_choices
            else max(1, len(self.instances))
        )

    @property
    def category(self) -> str:
        """The first category, the one that scores are grouped by."""
        return self.categories[0]

    def only(self, instances: Sequence[Instance]) -> Task:
        """Return the task with some of its instances, and their choices."""
        choices = self.answer_choices
        if choices:
            ids = {instance.id for instance in instances}
            choices = tuple(pair for pair in choices if pair[0] in ids)
        return replace(self, instances=tuple(instances), answer_choices=choices)


@dataclass(frozen=True, slots=True)
class TaskCollection:
    """Training and test tasks as read, with a hash of their content and what the reader met on its way."""

    name: str
    train: tuple[Task, ...]
    test: tuple[Task, ...]
    content_hash: str = ""  # empty in what a reader of your own returns: made from the tasks
    notes: tuple[str, ...] = ()
    validation: tuple[Task, ...] = ()  # training tasks that are held out
    order: str = (
        ""  # of the training tasks, where `content_hash` does not tell it: see tasks/sampling/order.py
    )
