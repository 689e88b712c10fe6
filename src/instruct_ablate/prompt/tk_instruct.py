"""Tk-Instruct's template (Wang et al. 2022), byte for byte: definition, the examples that fit, input."""

from __future__ import annotations

import string
from collections.abc import Sequence

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import WITH_NAME, Rendered, template
from instruct_ablate.tasks.task import Example, Instance


def _line(head: str, body: str) -> str:
    """Write one line and end it with a full stop where no punctuation does."""
    text = f"{head}: {body.strip()}"
    return f"{text}\n" if text[-1] in string.punctuation else f"{text}.\n"


def _example(title: str, example: Example, shows: tuple[str, ...] = ("input", "output")) -> str:
    """Write one example: a line for each part shown, one for the explanation where there is one."""
    text = _line("Input", example.input) if "input" in shows else ""
    text += _line(" Output", example.output) if "output" in shows else ""
    text += _line(" Explanation", example.explanation) if example.explanation else ""
    return f" {title} -\n{text}\n"


def _fitting(before: str, texts: Sequence[str], after: str, room: Room) -> list[str]:
    """Return the texts that fit between `before` and `after`, up to the first that does not.

    As in the reference, the length is taken with a space between examples, which the prompt itself has not.
    """
    kept: list[str] = []
    for text in texts:
        if not room.fits([before + " ".join(kept) + text, after]):
            break
        kept.append(text)
    return kept


@template
def tk_instruct(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render as Tk-Instruct's encoder does; what does not fit even without examples is cut at the end."""
    return _render(instruction, instance, room)


def with_name(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Put the task's name first, as its option `add_task_name` does; the examples that fit are chosen without it."""
    return _render(instruction, instance, room, f"{instruction.task}. ")


WITH_NAME["tk_instruct"] = with_name


def _render(instruction: Instruction, instance: Instance, room: Room, name: str = "") -> Rendered:
    definition = f"{_line('Definition', instruction.definition)}\n" if instruction.definition else ""
    task_input = "Now complete the following example -\n" + _line("Input", instance.input) + "Output: "
    right = [
        _example(f"Positive Example {number}", example, instruction.shows)
        for number, example in enumerate(instruction.positive_examples, 1)
    ]
    wrong = [_example(f"Negative Example {n}", e) for n, e in enumerate(instruction.negative_examples, 1)]
    positive = _fitting(definition, right, task_input, room)
    negative = _fitting(definition + " ".join(positive), wrong, task_input, room)
    pieces = ["".join([name, definition, *positive, *negative]), task_input]
    dropped = len(right) + len(wrong) - len(positive) - len(negative)
    text = "".join(pieces)
    if room.fits(pieces):
        return Rendered(text, dropped_examples=dropped)
    return Rendered(room.clip(text), truncated=True, dropped_examples=dropped)
