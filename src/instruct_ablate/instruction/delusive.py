"""Delusive examples (Kung & Peng 2023): input and output lie in the right spaces, the mapping is wrong."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.outputs import as_label, right_answers, wrong_output
from instruct_ablate.instruction.variant import variant
from instruct_ablate.normalisation import label_form
from instruct_ablate.tasks.task import Example, Task


def wrong_negatives(task: Task) -> tuple[Example, ...]:
    """Return the negative examples that may pass for wrong demonstrations, explanations left out.

    A negative example is left aside where its output is a right answer to its input (as positive examples
    and instances tell) or lies outside the label space: it would teach a wrong format, not a wrong mapping.
    """
    kept = []
    for example in task.negative_examples:
        label = as_label(task, example.output)
        if (
            label is not None
            and label.strip()
            and label_form(label) not in right_answers(task, example.input)
        ):
            kept.append(Example(example.input, label))
    return tuple(kept)


@variant("examples")
def delusive(task: Task, context: Context) -> Task:
    """Show wrong demonstrations as positive ones (Kung & Peng 2023).

    They are the task's own negative examples; where these do not suffice, positive examples with another
    output of the same space, never a right answer. There are as many as positive ones, where possible. What
    the model is trained to say is not touched.
    """
    chance = context.random(task, "delusive")
    whole = context.whole(task)
    shown = wrong_negatives(whole)
    inputs = {example.input for example in shown}
    # An input that a negative example has too comes last: it would be shown twice.
    for example in sorted(task.positive_examples, key=lambda example: example.input in inputs):
        wrong = wrong_output(whole, example, chance)
        if wrong is not None and Example(example.input, wrong) not in shown:
            shown = (*shown, Example(example.input, wrong))
    return replace(task, positive_examples=shown[: len(task.positive_examples)])
