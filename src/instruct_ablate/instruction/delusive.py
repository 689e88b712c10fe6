"""Delusive examples (Kung & Peng 2023): the mapping from input to output is wrong, the form is not."""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.variant import variant
from instruct_ablate.instruction.words.outputs import as_label, right_answers, wrong_output
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


@variant("examples", version=2)  # 1 showed what is now `delusive_mended`
def delusive(task: Task, context: Context) -> Task:
    """Show the task's own negative examples, as they stand, as positive ones (Kung & Peng 2023).

    Where they are fewer than the positive ones, those fill up with wrong outputs, as in `delusive_mended`. What the
    model is trained to say is not touched.
    """
    own = tuple(replace(e, explanation="") for e in task.negative_examples if e.output.strip())
    return _filled(task, own, context)


@variant("examples")
def delusive_mended(task: Task, context: Context) -> Task:
    """Show wrong demonstrations that lie in the right spaces for certain.

    They are the negative examples that are wrong and within the label space; where these do not suffice, positive
    examples with another output of the same space, never a right answer.
    """
    return _filled(task, wrong_negatives(context.whole(task)), context)


def _filled(task: Task, shown: tuple[Example, ...], context: Context) -> Task:
    """Show so many wrong examples as there are positive ones, where possible."""
    chance, whole = context.random(task, "delusive"), context.whole(task)
    inputs = {example.input for example in shown}
    # An input that a negative example has too comes last: it would be shown twice.
    for example in sorted(task.positive_examples, key=lambda example: example.input in inputs):
        wrong = wrong_output(whole, example, chance)
        if wrong is not None and Example(example.input, wrong) not in shown:
            shown = (*shown, Example(example.input, wrong))
    return replace(task, positive_examples=shown[: len(task.positive_examples)])
