"""The plain template: definition, examples and input one after the other, without any framing."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import shrink
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Example, Instance


def example_lines(examples: tuple[Example, ...], head: str) -> list[str]:
    """Write examples as blocks of lines; parts that a variant emptied have no line."""
    blocks = []
    for example in examples:
        parts = (("Input", example.input), ("Output", example.output), ("Explanation", example.explanation))
        blocks.append("\n".join([head, *(f"{name}: {text.strip()}" for name, text in parts if text)]).strip())
    return blocks


def described(instruction: Instruction) -> str:
    """Write definition and examples as one text."""
    negative = example_lines(instruction.negative_examples, "Wrong example:")
    positive_head = "Example:" if negative else ""
    positive = example_lines(instruction.positive_examples, positive_head)
    return "\n\n".join(filter(None, [instruction.definition.strip(), *positive, *negative]))


def write(instruction: Instruction, instance: Instance) -> str:
    """Write definition, examples and input; the input is framed as the examples are, where there are any."""
    asked = f"Input: {instance.input.strip()}\nOutput:" if _framed(instruction) else instance.input.strip()
    return "\n\n".join(filter(None, [described(instruction), asked]))


def _framed(instruction: Instruction) -> bool:
    return bool(instruction.positive_examples or instruction.negative_examples)


@template
def plain(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render definition, examples as Input/Output lines, and the bare input (framed alike after examples)."""
    return shrink(write, instruction, instance, room)
