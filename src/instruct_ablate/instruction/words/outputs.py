"""Right and wrong answers of a task: what a demonstration may say to be wrong, yet of the right form."""

from __future__ import annotations

import random

from instruct_ablate.normalisation import alike, label_form, merged_answers
from instruct_ablate.tasks.task import Example, Task

# The last task asked about, by identity: hashing a task would read all its instances.
_last: list[tuple[Task, dict[str, frozenset[str]]]] = []


def _known(task: Task) -> dict[str, frozenset[str]]:
    """Map the input of each example to the answers known to be right: of positive examples and instances."""
    if not (_last and _last[0][0] is task):
        _last[:] = [(task, _find_known(task))]
    return _last[0][1]


def _find_known(task: Task) -> dict[str, frozenset[str]]:
    known: dict[str, set[str]] = {
        " ".join(example.input.split()): set()
        for example in (*task.positive_examples, *task.negative_examples)
    }
    for example in task.positive_examples:
        known[" ".join(example.input.split())].add(label_form(example.output))
    # By the first word most instances are told apart before all of a long input is cut into words.
    beginnings = {text.split(" ", 1)[0] for text in known}
    for instance in task.instances:
        if next(iter(instance.input.split(None, 1)), "").rstrip() not in beginnings:
            continue
        text = " ".join(instance.input.split())
        if text in known:
            known[text].update(label_form(reference) for reference in instance.references)
    return {text: frozenset(right) for text, right in known.items()}


def right_answers(task: Task, text: str) -> frozenset[str]:
    """Return the answers to an example's input known to be right, normalised; empty where none is known."""
    return _known(task).get(" ".join(text.split()), frozenset())


def outputs(task: Task) -> tuple[str, ...]:
    """Return the outputs a task's demonstrations may have, each once after normalisation.

    For classification the label space and what the positive examples say beside it; for generation what
    the positive examples say, and the instances where that is not two different things.
    """
    seen = distinct((*(task.label_space or ()), *(example.output for example in task.positive_examples)))
    return seen if task.label_space is not None or len(seen) > 1 else distinct((*seen, *_references(task)))


def _references(task: Task) -> tuple[str, ...]:
    return tuple(instance.references[0] for instance in task.instances)


def distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Keep the first of labels that exact match cannot tell apart."""
    first: dict[str, str] = {}
    for label in labels:
        if label.strip():
            first.setdefault(label_form(label), label)
    return tuple(first.values())


def merged_labels(task: Task) -> tuple[tuple[str, ...], ...]:
    """Return the groups of different labels of a task that exact match takes for one."""
    lists = [*([task.label_space] if task.label_space else []), *(own for _, own in task.answer_choices)]
    references = (reference for instance in task.instances for reference in instance.references)
    return merged_answers(lists, references) if lists else ()


def equal_labels(task: Task) -> str | None:
    """Name labels that exact match takes for one: to choose between them would be right either way."""
    for group in merged_labels(task):
        return (
            f"{task.name}: {alike(group)}, as case and punctuation do not count: nothing can choose between them. "
            "Where they mean the same, give one in the file tasks.label_spaces; else rename them in the data, or "
            "use evaluation=greedy, whose strict_exact_match tells them apart."
        )
    return None


def as_label(task: Task, output: str) -> str | None:
    """Return `output` as the label space spells it, itself for generation, None outside it."""
    if task.label_space is None:
        return output
    return next((label for label in outputs(task) if label_form(label) == label_form(output)), None)


def wrong_output(
    task: Task, example: Example, chance: random.Random, own: tuple[str, ...] = ()
) -> str | None:
    """Draw an output that is no right answer to the example's input; None where there is none.

    It is one of its `own` options, where there are such, else of the task's outputs.
    """
    right = right_answers(task, example.input) | {label_form(example.output)}
    wrong = [output for output in own or outputs(task) if label_form(output) not in right]
    if not wrong and task.label_space is None:  # all examples answer the same input
        wrong = [output for output in distinct(_references(task)) if label_form(output) not in right]
    return chance.choice(wrong) if wrong else None
