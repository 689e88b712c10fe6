"""The Alpaca template (Taori et al. 2023): instruction, input where there is one, response."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.plain import described
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import shrink
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Instance

WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
WITHOUT_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)


def _write(instruction: Instruction, instance: Instance) -> str:
    """Fill the published form in; without an input (or without any instruction) the shorter one."""
    told, asked = described(instruction), instance.input.strip()
    if told and asked:
        return WITH_INPUT.replace("{instruction}", told, 1).replace("{input}", asked, 1)
    return WITHOUT_INPUT.replace("{instruction}", told or asked, 1)


@template
def alpaca(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render in Alpaca's form; examples follow the definition inside the instruction."""
    return shrink(_write, instruction, instance, room)
