"""The chat template: the plain text as the user's turn in the tokenizer's own chat format."""

from __future__ import annotations

from instruct_ablate.instruction.instruction import Instruction
from instruct_ablate.prompt.plain import write
from instruct_ablate.prompt.room import Room
from instruct_ablate.prompt.shrink import Pieces, shrink
from instruct_ablate.prompt.template import Rendered, template
from instruct_ablate.tasks.task import Instance


@template
def chat(instruction: Instruction, instance: Instance, room: Room) -> Rendered:
    """Render the user's turn; examples and the input go before any of the chat format around it is cut.

    Where the format, `prompt.system` and the definition are too long by themselves the whole is cut at its end, as the
    other templates are: the text of its first tokens, without the format's own tokens.
    """

    def turn(told: Instruction, asked: Instance) -> Pieces:
        text = room.tokens.chat("".join(write(told, asked)))
        # Where it stands last: a definition or an example may hold the same text.
        return text.rpartition(asked.input.strip()) if asked.input.strip() else (text, "", "")

    return shrink(turn, instruction, instance, room)
