"""Right and wrong answers of a task: what a demonstration may say to be wrong, yet of the right form."""

from __future__ import annotations

import random
import string
from functools import lru_cache

from instruct_ablate.tasks.task import Example, Task

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower-case, drop punctuation and extra white space, as the exact match of Tk-Instruct does."""
    bare = " ".join(text.lower().translate(_PUNCTUATION).split())
    return bare or text.strip()  # labels such as "+" and "-" are nothing but punctuation


@lru_cache(maxsize=4)
def _known(task: Task) -> dict[str, frozenset[str]]:
    """Map each input whose answer is known (positive examples, instances) to its right answers."""
    known: dict[str, set[str]] = {}
    for example in task.positive_examples:
        known.setdefault(" ".join(example.input.split()), set()).add(normalise(example.output))
    for instance in task.instances:
        right = known.setdefault(" ".join(instance.input.split()), set())
        right.update(normalise(reference) for reference in instance.references)
    return {key: frozenset(value) for key, value in known.items()}


def right_answers(task: Task, text: str) -> frozenset[str]:
    """Return the answers to the input `text` known to be right, normalised; empty where none is known."""
    return _known(task).get(" ".join(text.split()), frozenset())


def outputs(task: Task) -> tuple[str, ...]:
    """Return the outputs a task's demonstrations may have: its label space, else those seen, in order."""
    if task.label_space is not None:
        return task.label_space
    seen = [example.output for example in task.positive_examples]
    return tuple(dict.fromkeys([*seen, *(i.references[0] for i in task.instances)]))


def as_label(task: Task, output: str) -> str | None:
    """Return `output` in the label space's own spelling, itself for generation, None outside the space."""
    if task.label_space is None:
        return output
    if output in task.label_space:
        return output
    return next((label for label in task.label_space if normalise(label) == normalise(output)), None)


def wrong_output(task: Task, example: Example, chance: random.Random) -> str | None:
    """Draw an output of the task that is no right answer to the example's input; None where there is none."""
    right = right_answers(task, example.input) | {normalise(example.output)}
    wrong = [output for output in outputs(task) if normalise(output) not in right]
    return chance.choice(wrong) if wrong else None
