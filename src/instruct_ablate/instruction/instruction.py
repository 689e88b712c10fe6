"""The instruction: a task's definition and examples as the model gets to see them, after the variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from instruct_ablate.configuration.extensions import called
from instruct_ablate.errors import UserError
from instruct_ablate.instruction.catalogue import find
from instruct_ablate.instruction.context import Context
from instruct_ablate.schema import InstructionConfig
from instruct_ablate.tasks.task import Example, Instance, Task


@dataclass(frozen=True, slots=True)
class Instruction:
    """What stands before an instance: definition and examples; explanations are empty unless asked for.

    `shows` names the parts of a positive example that a prompt has lines for (a variant may drop one).
    """

    task: str
    definition: str
    positive_examples: tuple[Example, ...]
    negative_examples: tuple[Example, ...]
    shows: tuple[str, ...] = ("input", "output")


def check_instruction(config: InstructionConfig) -> None:
    """Raise a `UserError` where the configuration names no known variant or a parameter out of range."""
    find("definition", config.definition)
    find("examples", config.examples)
    for key, value in (("rate", config.rate), ("correct", config.correct)):
        if not 0 <= value <= 1:
            raise UserError(f"instruction.{key}={value}: give a share between 0 and 1.")
    for key, number in (("num_positive", config.num_positive), ("num_negative", config.num_negative)):
        if number < 0:
            raise UserError(f"instruction.{key}={number}: give 0 or more.")


def vary(task: Task, config: InstructionConfig, context: Context) -> Task:
    """Return the task with the definition's and the examples' variant applied, each to its own field."""
    context = context.under(config)
    altered = find("definition", config.definition).apply(task, context)
    # Of the task as it is: what its examples become must not hang on what was made of its definition.
    shown = find("examples", config.examples).apply(task, context)
    return replace(altered, positive_examples=shown.positive_examples)


def instruct(task: Task, config: InstructionConfig, context: Context) -> Instruction:
    """Return the task's instruction under the configured variants, with so many examples as configured."""
    return as_instruction(vary(task, config, context), config)


def as_instruction(task: Task, config: InstructionConfig) -> Instruction:
    """Take definition and the first examples of a varied task."""
    positive = task.positive_examples[: config.num_positive]
    negative = task.negative_examples[: config.num_negative]
    if not config.explanations:
        positive, negative = _unexplained(positive), _unexplained(negative)
    shows = find("examples", config.examples).shows
    return Instruction(task.name, task.definition, positive, negative, shows)


def shown_to(
    task: Task, varied: Task, config: InstructionConfig, context: Context
) -> Callable[[Instance], Instruction]:
    """Return what stands before each instance: the same for all, unless the variant draws examples for each."""
    same, each = as_instruction(varied, config), find("examples", config.examples).each
    if each is None or not same.positive_examples:
        return lambda instance: same

    def drawn(instance: Instance) -> Instruction:
        shown = called("instruction.examples", each, task, instance, context.under(config))
        return replace(same, positive_examples=shown[: config.num_positive])

    return drawn


def _unexplained(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    return tuple(replace(example, explanation="") for example in examples)
