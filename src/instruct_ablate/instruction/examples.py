"""Variants of the examples after Min et al. (2022): what of a demonstration is kept, what is random or gone.

A part that is gone is an empty string; templates leave its line out.
"""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.answers import outputs, wrong_output
from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.tasks.task import Example, Task


@variant("examples", name="original")
def original_examples(task: Task, context: Context) -> Task:
    """Leave the examples as they are."""
    return task


@variant("examples", name="empty")
def no_examples(task: Task, context: Context) -> Task:
    """Leave the examples out (Kung & Peng 2023)."""
    return replace(task, positive_examples=())


@variant("examples")
def random_labels(task: Task, context: Context) -> Task:
    """Draw each example's output uniformly from the output space, right ones included (Min et al. 2022)."""
    chance, space = context.random(task, "random_labels"), outputs(task)
    drawn = tuple(Example(e.input, chance.choice(space)) for e in task.positive_examples)
    return replace(task, positive_examples=drawn)


@variant("examples", parameter="correct")
def partly_correct(task: Task, context: Context) -> Task:
    """Keep the share `correct` of the shown examples right, make the others wrong (Min et al. 2022)."""
    shown = task.positive_examples[: context.num_positive]
    chance = context.random(task, "partly_correct")
    right = set(chance.sample(range(len(shown)), round(context.correct * len(shown))))
    mixed = []
    for place, example in enumerate(shown):
        wrong = None if place in right else wrong_output(task, example, chance)
        mixed.append(example if wrong is None else Example(example.input, wrong))
    return replace(task, positive_examples=tuple(mixed))


@variant("examples")
def outputs_only(task: Task, context: Context) -> Task:
    """Show the outputs without their inputs (Min et al. 2022, "labels only")."""
    return replace(task, positive_examples=tuple(Example("", e.output) for e in task.positive_examples))


@variant("examples")
def inputs_only(task: Task, context: Context) -> Task:
    """Show the inputs without their outputs (Min et al. 2022, "no labels")."""
    return replace(task, positive_examples=tuple(Example(e.input, "") for e in task.positive_examples))


@variant("examples")
def ood_inputs(task: Task, context: Context) -> Task:
    """Put inputs of other categories before the outputs (Min et al. 2022, out-of-distribution inputs)."""
    far = [other for other in context.tasks if other.category != task.category and other.instances]
    chance = context.random(task, "ood_inputs")
    strange = []
    for place, example in enumerate(task.positive_examples if far else ()):
        other = context.pick(task, far, f"ood_inputs {place}")
        strange.append(Example(chance.choice(other.instances).input, example.output))
    return replace(task, positive_examples=tuple(strange)) if far else task


@variant("examples")
def permuted(task: Task, context: Context) -> Task:
    """Show the same examples in another order."""
    shown, rest = (
        list(task.positive_examples[: context.num_positive]),
        task.positive_examples[context.num_positive :],
    )
    before = list(shown)
    chance = context.random(task, "permuted")
    while len(set(before)) > 1 and shown == before:
        chance.shuffle(shown)
    return replace(task, positive_examples=(*shown, *rest))
