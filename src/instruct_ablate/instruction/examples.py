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
    drawn = zip(task.positive_examples, _drawn(task, context), strict=True)
    return replace(task, positive_examples=tuple(Example(e.input, output) for e, output in drawn))


def _drawn(task: Task, context: Context) -> list[str]:
    """Draw an output for each example: the same draws wherever a variant has random labels."""
    chance, space = context.random(task, "random_labels"), outputs(context.whole(task))
    return [chance.choice(space) for _ in task.positive_examples]


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


@variant("examples", shows=("output",), version=2)  # 1 showed the right outputs
def outputs_only(task: Task, context: Context) -> Task:
    """Show random outputs without inputs (Min et al. 2022, "random labels only")."""
    return replace(task, positive_examples=tuple(Example("", output) for output in _drawn(task, context)))


@variant("examples", shows=("input",))
def inputs_only(task: Task, context: Context) -> Task:
    """Show the inputs without their outputs (Min et al. 2022, "no labels")."""
    return replace(task, positive_examples=tuple(Example(e.input, "") for e in task.positive_examples))


@variant("examples", version=2)  # 1 kept the right outputs
def ood_inputs(task: Task, context: Context) -> Task:
    """Put inputs of a task of another category before random outputs (Min et al. 2022; theirs are from a corpus)."""
    far = [other for other in context.tasks if other.category != task.category and other.instances]
    if not far:
        return task
    chance, other = context.random(task, "ood_inputs"), context.pick(task, far, "ood_inputs")
    own = {i.input for i in context.whole(task).instances} | {e.input for e in task.positive_examples}
    inputs = [i.input for i in other.instances if i.input not in own]
    if not inputs:
        return task
    strange = tuple(Example(chance.choice(inputs), output) for output in _drawn(task, context))
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
