"""Variants of the examples after Min et al. (2022): what of a demonstration is kept, what is random or gone.

A part that is gone is an empty string; templates leave its line out.
"""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.outputs import outputs, wrong_output
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
    chance, space = context.random(task, "random_labels"), outputs(context.whole(task))
    drawn = tuple(Example(e.input, chance.choice(space)) for e in task.positive_examples)
    return replace(task, positive_examples=drawn)


@variant("examples", parameter="correct")
def partly_correct(task: Task, context: Context) -> Task:
    """Keep the share `correct` of the shown examples right, make the others wrong (Min et al. 2022)."""
    shown = task.positive_examples[: context.num_positive]
    chance, whole = context.random(task, "partly_correct"), context.whole(task)
    right = set(chance.sample(range(len(shown)), round(context.correct * len(shown))))
    mixed = []
    for place, example in enumerate(shown):
        wrong = None if place in right else wrong_output(whole, example, chance)
        mixed.append(example if wrong is None else Example(example.input, wrong))
    return replace(task, positive_examples=tuple(mixed))


@variant("examples", shows=("output",))
def outputs_only(task: Task, context: Context) -> Task:
    """Show the outputs without their inputs (Min et al. 2022, "labels only")."""
    return replace(task, positive_examples=tuple(Example("", e.output) for e in task.positive_examples))


@variant("examples", shows=("input",))
def inputs_only(task: Task, context: Context) -> Task:
    """Show the inputs without their outputs (Min et al. 2022, "no labels")."""
    return replace(task, positive_examples=tuple(Example(e.input, "") for e in task.positive_examples))


@variant("examples")
def ood_inputs(task: Task, context: Context) -> Task:
    """Put inputs of a task of another category before the outputs (Min et al. 2022)."""
    far = [other for other in context.tasks if other.category != task.category and other.instances]
    if not far:
        return task
    chance, other = context.random(task, "ood_inputs"), context.pick(task, far, "ood_inputs")
    own = {i.input for i in context.whole(task).instances} | {e.input for e in task.positive_examples}
    inputs = [i.input for i in other.instances if i.input not in own]
    if not inputs:
        return task
    strange = tuple(Example(chance.choice(inputs), e.output) for e in task.positive_examples)
    return replace(task, positive_examples=strange)


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
