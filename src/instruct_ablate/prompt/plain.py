"""The plain template: definition, examples and input one after the other, without any framing."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import Pieces, shrink
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Example, Instance


def block(head: str, example: Example, shows: tuple[str, ...] = ("input", "output")) -> str:
    """Write one example: a line for each part shown, one for the explanation where there is one."""
    lines = [head] if head else []
    lines += [f"Input: {example.input.strip()}"] if "input" in shows else []
    lines += [f"Output: {example.output.strip()}"] if "output" in shows else []
    lines += [f"Explanation: {example.explanation.strip()}"] if example.explanation else []
    return "\n".join(lines)


def described(instruction: Instruction) -> str:
    """Write definition and examples as one text."""
    head = "Right example:" if instruction.negative_examples else ""
    positive = [block(head, example, instruction.shows) for example in instruction.positive_examples]
    negative = [block("Wrong example:", example) for example in instruction.negative_examples]
    return "\n\n".join(filter(None, [instruction.definition.strip(), *positive, *negative]))


def write(instruction: Instruction, instance: Instance) -> Pieces:
    """Write definition and examples, input, end; the input is framed as the examples are, where there are any."""
    before, asked = described(instruction), instance.input.strip()
    if instruction.positive_examples or instruction.negative_examples:
        return f"{before}\n\nInput: ", asked, "\nOutput:"
    return (f"{before}\n\n" if before and asked else before), asked, ""


@template
def plain(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render definition, examples as Input/Output lines, and the bare input (framed alike after examples)."""
    return shrink(write, instruction, instance, room)
