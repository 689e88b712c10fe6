"""The Alpaca template (Taori et al. 2023): instruction, input where there is one, response."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.plain import described
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import Pieces, shrink
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Instance

INTRODUCTION = "Below is an instruction that describes a task"
PAIRED = ", paired with an input that provides further context"
REQUEST = "Write a response that appropriately completes the request."


def _write(instruction: Instruction, instance: Instance) -> Pieces:
    """Fill the published form in; without an input (or without any instruction) the shorter one."""
    told, asked = described(instruction), instance.input.strip()
    end = "\n\n### Response:"
    if told and asked:
        head = f"{INTRODUCTION}{PAIRED}. {REQUEST}\n\n### Instruction:\n{told}\n\n### Input:\n"
        return head, asked, end
    return f"{INTRODUCTION}. {REQUEST}\n\n### Instruction:\n{told}", asked, end


@template
def alpaca(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render in Alpaca's form; examples follow the definition inside the instruction."""
    return shrink(_write, instruction, instance, room)
