"""The sentence of a prompt replaced, its labels kept, after Webson & Pavlick (2021).

They replace the sentence that instructs and leave inputs, targets and verbalisers; here the sentence stands for the
whole definition, and the labels follow it as `simplified` lists them. The sentences are ours, by their categories.
"""

from __future__ import annotations

from dataclasses import replace

from instruct_ablate.instruction.context import Context
from instruct_ablate.instruction.definitions import IRRELEVANT, label_list
from instruct_ablate.instruction.variant import variant
from instruct_ablate.tasks.task import Task

# Another task of the same inputs, near enough to be taken for the right one.
MODERATE = (
    "Tell whether one part of the text could stand as a summary of the rest.",
    "Tell whether the text says the same thing twice in other words.",
    "Tell whether most of the important words of the text come up more than once.",
    "Tell whether the text could be shortened without a change of its meaning.",
)
# A task about the form of the input, or about nothing that it holds.
EXTREME = (
    "Tell whether the text begins with the word 'the'.",
    "Tell whether the text has been printed in a newspaper's sports pages.",
    "Tell whether the text holds an even number of commas.",
    "Tell whether the writer of the text likes warm weather.",
)
SENTENCES = {
    "sentence_irrelevant": IRRELEVANT,
    "sentence_misleading_moderate": MODERATE,
    "sentence_misleading_extreme": EXTREME,
}


def _with(sentence: str, task: Task) -> Task:
    """Put a sentence in the definition's place, before the labels."""
    return replace(task, definition=" ".join(filter(None, [sentence, label_list(task.label_space or ())])))


@variant("definition")
def sentence_irrelevant(task: Task, context: Context) -> Task:
    """Say something that has nothing to do with any task, and keep the labels."""
    return _with(context.random(task, "sentence_irrelevant").choice(IRRELEVANT), task)


@variant("definition")
def sentence_misleading_moderate(task: Task, context: Context) -> Task:
    """Ask for another task that such inputs are used for, and keep the labels."""
    return _with(context.random(task, "sentence_misleading_moderate").choice(MODERATE), task)


@variant("definition")
def sentence_misleading_extreme(task: Task, context: Context) -> Task:
    """Ask for a task that has nothing to do with the inputs' meaning, and keep the labels."""
    return _with(context.random(task, "sentence_misleading_extreme").choice(EXTREME), task)
