"""Tk-Instruct's template (Wang et al. 2022), byte for byte: definition, the examples that fit, input."""

from __future__ import annotations

import string
from collections.abc import Sequence

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Example, Instance


def _line(head: str, body: str) -> str:
    """Write one line and end it with a full stop where no punctuation does."""
    text = f"{head}: {body.strip()}"
    return f"{text}\n" if text[-1] in string.punctuation else f"{text}.\n"


def _example(title: str, example: Example) -> str:
    """Write one example; a part that a variant emptied has no line."""
    parts = (("Input", example.input), (" Output", example.output), (" Explanation", example.explanation))
    return f" {title} -\n" + "".join(_line(head, body) for head, body in parts if body) + "\n"


def _fitting(
    before: Sequence[str], title: str, examples: Sequence[Example], after: str, room: Room
) -> list[str]:
    """Return the written examples that fit between `before` and `after`, up to the first that does not.

    As in the reference, the length is taken with a space between examples, which the prompt itself has not.
    """
    kept: list[str] = []
    for number, example in enumerate(examples, 1):
        text = _example(f"{title} {number}", example)
        if not room.fits([*before, *_spaced(kept), text, after]):
            break
        kept.append(text)
    return kept


def _spaced(texts: Sequence[str]) -> list[str]:
    return [text if place == 0 else f" {text}" for place, text in enumerate(texts)]


@template
def tk_instruct(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render as Tk-Instruct's encoder does; what does not fit even without examples is cut at the end."""
    definition = f"{_line('Definition', instruction.definition)}\n" if instruction.definition else ""
    task_input = "Now complete the following example -\n" + _line("Input", instance.input) + "Output: "
    positive = _fitting([definition], "Positive Example", instruction.positive_examples, task_input, room)
    before = [definition, *_spaced(positive)]
    negative = _fitting(before, "Negative Example", instruction.negative_examples, task_input, room)
    pieces = [definition, *positive, *negative, task_input]
    shown = len(positive) + len(negative)
    dropped = len(instruction.positive_examples) + len(instruction.negative_examples) - shown
    text = "".join(pieces)
    if room.fits(pieces):
        return Rendered(text, dropped_examples=dropped)
    return Rendered(room.clip(text), truncated=True, dropped_examples=dropped)
